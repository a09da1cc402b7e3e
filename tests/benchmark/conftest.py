"""Results that many tests read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmark.command import acrl, workplace
from tests.benchmark.synthetic_results import TWO_TASKS, fill
from tests.methods.learners import ALL_METHODS


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every method's run of R+L2 at profile smoke. To be read only."""
    folder = workplace(tmp_path_factory.mktemp("smoke"))
    for method in ALL_METHODS:
        done = acrl(folder, "run", "R+L2", method, "--profile", "smoke")
        assert done.code == 0, done.err
        assert done.err == ""
    return folder


@pytest.fixture(scope="session")
def nfw_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every run that profile smoke asks of nfw. To be read only."""
    folder = workplace(tmp_path_factory.mktemp("nfw"))
    for task in ("R+L2", "BSS-3"):
        done = acrl(folder, "run", task, "nfw", "--profile", "smoke")
        assert done.code == 0, done.err
    return folder


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile's folder of results that nobody ran, whole on two tasks. To be read only."""
    folder = tmp_path_factory.mktemp("made-up")
    fill(folder, TWO_TASKS)
    return folder
