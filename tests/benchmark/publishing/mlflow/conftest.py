"""A folder of runs, a database for them, and what MLflow shows of both."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run as Row

from benchmark.publishing.mlflow import import_runs
from benchmark.publishing.mlflow.store import sqlite_uri
from envs.errors import UserError
from tests.benchmark.command import workplace
from tests.benchmark.synthetic_results import (
    PROFILE,
    SEEDS,
    make_run,
    save,
)

PLACE = "mß flow+1?a=b#c%41&d;e"


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Path:
    """An empty database, since making one takes seconds; in a folder whose name means something in an address."""
    path = tmp_path / PLACE / "mlflow.db"
    path.parent.mkdir()
    return Path(shutil.copy(empty_database, path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two runs of the profile, below a folder to run ``acrl`` in."""
    folder = workplace(tmp_path / "here") / "results" / PROFILE
    save(folder, *(make_run("R+L2", "flowpg", seed) for seed in SEEDS))
    return folder


def shown(database: Path | str, profile: str = PROFILE) -> dict[str, Row]:
    """What the profile's experiment shows: runs by method and seed, methods by task, others by what they are."""
    client = MlflowClient(tracking_uri=sqlite_uri(database) if isinstance(database, Path) else database)
    experiment = client.get_experiment_by_name(f"acrl/{profile}")
    rows = [] if experiment is None else client.search_runs([experiment.experiment_id])
    found = {name_of(row.data.tags): row for row in rows}
    assert len(found) == len(rows)
    return found


def name_of(tags: dict[str, str]) -> str:
    names = {"run": ("method", "seed"), "training": ("kind", "method", "seed"), "method": ("group",)}
    return " ".join(tags[name] for name in names.get(tags["kind"], ("kind",)))


def unfinish(database: Path, row: Row) -> None:
    """Leave a run as an interrupted import would."""
    MlflowClient(tracking_uri=sqlite_uri(database)).delete_tag(row.info.run_id, "import")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refused(folder: Path, database: Path, message: str, server: str | None = None) -> None:
    with pytest.raises(UserError, match=message) as caught:
        import_runs(folder, PROFILE, database, server)
    assert "\n" not in str(caught.value)
