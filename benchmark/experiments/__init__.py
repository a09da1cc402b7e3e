"""The experiments E1-E3, N1-N3, C6 and X1, one module each."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from envs.errors import UnknownIdError

if TYPE_CHECKING:
    from benchmark.experiments.base import Context, Experiment

EXPERIMENTS = ("e1", "e2", "e3", "n1", "n2", "n3", "c6", "x1")


def find_experiment(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        UnknownIdError: If there is none.
    """
    if name not in EXPERIMENTS:
        raise UnknownIdError("experiment", name, EXPERIMENTS)
    found: Experiment = importlib.import_module(f"{__name__}.{name}").EXPERIMENT
    return found


def write_experiment(context: Context, name: str) -> list[Path]:
    """Measure an experiment and write its results; see :meth:`Experiment.write`."""
    return find_experiment(name).write(context, name)
