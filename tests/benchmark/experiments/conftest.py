"""Results that the experiments read, and what they made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmark.experiments.base import Context
from benchmark.records.config import load_params
from tests.benchmark.command import acrl, workplace

TASKS = ("R+L2", "R+O10")
PLAIN = ("ddpg-projection", "nfw")
FLOWS = ("flowpg", "flowpg-spline", "flowpg-gauge")


def make_place(folder: Path) -> Path:
    """A folder whose profile smoke has a circle and a set that depends on the state, with and without flows."""
    path = workplace(folder) / "params.yaml"
    data = yaml.safe_load(path.read_text())
    data["profiles"]["smoke"] |= {"tasks": list(TASKS), "plain_methods": list(PLAIN)}
    path.write_text(yaml.safe_dump(data))
    return folder


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flows and runs of profile smoke, and every experiment made from them. To be read only."""
    folder = make_place(tmp_path_factory.mktemp("experiments"))
    done = acrl(folder, "flows", "--profile", "smoke")
    assert done.code == 0, done.err
    for task in TASKS:
        for method in (*FLOWS, *PLAIN):
            done = acrl(folder, "run", task, method, "--profile", "smoke")
            assert done.code == 0, done.err
    done = acrl(folder, "experiment", "--profile", "smoke")
    assert done.code == 0, done.err
    assert done.err == ""
    return folder


@pytest.fixture(scope="session")
def context(place: Path) -> Context:
    """What the experiments were made from."""
    return Context(load_params(place / "params.yaml"), "smoke", place / "results")
