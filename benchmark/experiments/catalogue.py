"""The table of all experiments."""

from __future__ import annotations

from benchmark.experiments import c6, e1, e2, e3, n1, n2, n3
from benchmark.experiments.base import Experiment
from envs.errors import UnknownIdError

EXPERIMENTS: dict[str, Experiment] = {
    "e1": e1.EXPERIMENT,
    "e2": e2.EXPERIMENT,
    "e3": e3.EXPERIMENT,
    "n1": n1.EXPERIMENT,
    "n2": n2.EXPERIMENT,
    "n3": n3.EXPERIMENT,
    "c6": c6.EXPERIMENT,
}


def find_experiment(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        UnknownIdError: If there is none.
    """
    if name not in EXPERIMENTS:
        raise UnknownIdError("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]
