"""Comparisons as MLflow shows them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from benchmark.analysis.comparison import Compared
from benchmark.publishing.mlflow.importing import import_runs, sqlite_uri
from tests.benchmark.command import Done, acrl, workplace
from tests.benchmark.synthetic_results import PROFILE, make_run, save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = workplace(tmp_path / "here")
    for method in ("flowpg", "nfw"):
        save(folder / "results" / PROFILE, *(make_run("R+L2", method, seed) for seed in (0, 1)))
    return folder


def shown(database: Path) -> list[Run]:
    client = MlflowClient(tracking_uri=sqlite_uri(database))
    experiment = client.get_experiment_by_name(f"acrl/{PROFILE}")
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def logged(folder: Path, *arguments: str) -> Done:
    done = acrl(folder, "compare", "flowpg", "nfw", "--mlflow", *arguments)
    assert done.code == 0, done.err
    return done


def test_a_comparison_is_logged_once(folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    database = folder / "results" / "mlflow" / "mlflow.db"
    database.parent.mkdir(parents=True)
    shutil.copy(empty_database, database)
    assert import_runs(folder / "results" / PROFILE, PROFILE, database) == 4
    assert "comparison logged to" in logged(folder).err
    again = logged(folder, "--json")
    assert "comparison is already in" in again.err
    compared = Compared.model_validate_json(again.out)
    (row,) = [row for row in shown(database) if row.data.tags.get("kind") == "comparison"]
    assert len(shown(database)) == 5
    assert (row.info.status, row.data.tags["comparison_key"]) == ("FINISHED", compared.key)
    found = {(one.quantity, one.tolerance): one for one in compared.differences}
    assert row.data.metrics["R_L2/final return/difference"] == found["final return", None].difference
    assert row.data.metrics["R_L2/valid share in training/0.001/a"] == found["valid share in training", 1e-3].a
    client = MlflowClient(tracking_uri=sqlite_uri(database))
    copy = Path(client.download_artifacts(row.info.run_id, "comparison.json"))
    assert Compared.model_validate_json(copy.read_text()) == compared
    # Importing runs leaves it alone; a run made again makes another comparison.
    assert import_runs(folder / "results" / PROFILE, PROFILE, database) == 0
    save(
        folder / "results" / PROFILE,
        make_run("R+L2", "nfw", 0, run_key="0" * 64, provenance=make_run("R+L2", "nfw", 1).provenance),
    )
    assert "comparison logged to" in logged(folder).err
    assert len([row for row in shown(database) if row.data.tags.get("kind") == "comparison"]) == 2


def test_one_that_was_left_half_done_is_logged_anew(folder: Path, empty_database: Path, tmp_path: Path) -> None:
    database = Path(shutil.copy(empty_database, tmp_path / "other.db"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(database))
        patch.chdir(tmp_path)
        assert f"logged to {sqlite_uri(database)}" in logged(folder).err
        client = MlflowClient(tracking_uri=sqlite_uri(database))
        (row,) = shown(database)
        client.delete_tag(row.info.run_id, "import")
        assert "logged to" in logged(folder).err
        (again,) = shown(database)
    assert again.info.run_id != row.info.run_id
    assert not (folder / "results" / "mlflow").exists()
