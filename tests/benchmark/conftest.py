"""Results that many tests read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from benchmark.records import provenance
from benchmark.records.config import Params, load_params
from tests.benchmark.command import PARAMS, acrl, workplace
from tests.benchmark.synthetic_results import PROFILE, TWO_TASKS, fill

# One of each learner, with what tests of single methods need: flows that are valid by construction or not, a plain one.
FLOWS, PLAIN = ["flowpg", "flowpg-gauge"], ["ddpg-penalty", "nfw", "dpro"]
SMOKE_METHODS = [*FLOWS, *PLAIN]


@pytest.fixture(scope="session", autouse=True)
def no_repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whether somebody who runs the tests has changes to commit bears on none of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "ROOT", tmp_path_factory.mktemp("root"))
        yield


@pytest.fixture(scope="session")
def params() -> Params:
    """The shipped settings."""
    return load_params(PARAMS)


def changed(params: Params, **settings: Any) -> Params:
    """The same with other settings of profile smoke, and that profile alone."""
    return params.model_copy(update={"profiles": {"smoke": params.profile("smoke").model_copy(update=settings)}})


def make_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first of all workers makes, and all read."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    with FileLock(root / f"{name}.lock"):
        if not (root / name).exists():
            make(root / f"{name}.part")
            (root / f"{name}.part").rename(root / name)
    return root / name


def run_smoke(folder: Path) -> None:
    """Write every run on R+L2 that profile smoke asks for, with few methods in it."""
    workplace(folder, flow_methods=FLOWS, plain_methods=PLAIN)
    for method in SMOKE_METHODS:
        done = acrl(folder, "run", "R+L2", method, "--profile", "smoke")
        assert (done.code, done.err) == (0, "")


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs of :func:`run_smoke`. To be read only."""
    return make_once(tmp_path_factory, "smoke", run_smoke)


@pytest.fixture
def full(smoke: Path, tmp_path: Path) -> Path:
    """A copy of them to spoil or add to."""
    return Path(shutil.copytree(smoke, tmp_path / "full"))


@pytest.fixture(scope="session")
def nfw_runs(smoke: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every run that profile smoke asks of nfw. To be read only."""

    def make(folder: Path) -> None:
        shutil.copytree(smoke / "results/smoke/runs/R+L2/nfw", workplace(folder) / "results/smoke/runs/R+L2/nfw")
        assert acrl(folder, "run", "BSS-3", "nfw", "--profile", "smoke").code == 0

    return make_once(tmp_path_factory, "nfw", make)


@pytest.fixture
def nfw_copy(nfw_runs: Path, tmp_path: Path) -> Path:
    """A copy of them to spoil or add to."""
    return Path(shutil.copytree(nfw_runs, tmp_path / "copy"))


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile's folder of results that nobody ran, whole on two tasks. To be read only."""
    folder = tmp_path_factory.mktemp("made-up")
    fill(folder, TWO_TASKS)
    return folder


@pytest.fixture
def copied(made_up: Path, tmp_path: Path) -> Path:
    """A copy of them to spoil or add to."""
    return Path(shutil.copytree(made_up, tmp_path / PROFILE))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow without runs, which takes seconds to make. To be copied."""
    from benchmark.publishing.mlflow.store import create_database

    def make(folder: Path) -> None:
        folder.mkdir()
        create_database(folder / "mlflow.db")

    return make_once(tmp_path_factory, "database", make) / "mlflow.db"
