"""Results that the experiments read, and what they made of them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.experiments.base import Context
from benchmark.records.config import load_params
from tests.benchmark.command import acrl, workplace
from tests.benchmark.conftest import make_once

TASKS = ("R+L2", "R+O10")
PLAIN = ("ddpg-projection", "nfw")
FLOWS = ("flowpg", "flowpg-spline", "flowpg-gauge")


def numbers(place: Path, name: str) -> pd.DataFrame:
    """What an experiment found."""
    return pd.read_csv(place / f"results/smoke/experiments/{name}.csv")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flows and runs of profile smoke, and every experiment made from them. To be read only."""
    return make_once(tmp_path_factory, "experiments", make_everything)


def make_everything(folder: Path) -> None:
    """With a circle and a set that depends on the state, with and without flows."""
    workplace(folder, tasks=list(TASKS), plain_methods=list(PLAIN))
    runs = [("run", task, method) for task in TASKS for method in (*FLOWS, *PLAIN)]
    for arguments in (("flows",), *runs, ("experiment",)):
        done = acrl(folder, *arguments, "--profile", "smoke")
        assert (done.code, done.err) == (0, "")


@pytest.fixture(scope="session")
def context(place: Path) -> Context:
    """What the experiments were made from."""
    return Context(load_params(place / "params.yaml"), "smoke", place / "results")
