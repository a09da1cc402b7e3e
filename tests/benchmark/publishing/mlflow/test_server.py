"""A real tracking server and its interface, and comparisons."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from benchmark.analysis.comparison import Compared
from benchmark.cli import EXIT_INTERRUPTED
from benchmark.publishing.mlflow import import_runs
from benchmark.publishing.mlflow.server import answers, serve_ui
from benchmark.publishing.mlflow.store import sqlite_uri
from envs.errors import UserError
from tests.benchmark.command import acrl, shadow, start
from tests.benchmark.publishing.mlflow.conftest import free_port, refused, shown, unfinish
from tests.benchmark.synthetic_results import (
    PROFILE,
    SEEDS,
    make_run,
    save,
)


def test_a_server_that_does_not_answer_is_said_in_one_line(
    folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    message = "check that it runs and that MLFLOW_TRACKING_URI is its address"
    refused(folder, database, message, f"http://127.0.0.1:{free_port()}")


def test_an_interface_without_a_database_or_on_a_port_in_use_is_refused(tmp_path: Path, database: Path) -> None:
    with pytest.raises(UserError, match="import the runs first, with `acrl track`"):
        serve_ui(tmp_path / "mlflow.db", 5000, print)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use"):
            serve_ui(database, port, print)


@pytest.mark.slow
def test_the_interface_shows_the_runs_and_is_a_server_to_import_into(
    folder: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, database = folder.parents[1], folder.parent / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    shutil.copy(empty_database, database)
    import_runs(folder, PROFILE, database)
    port = free_port()
    root = f"http://127.0.0.1:{port}"
    shadow(here)
    process = start(here, "ui", "--port", str(port), "--json")
    try:
        assert process.stdout is not None
        view = "workflowType=machine_learning&compareRunsMode=CHART&viewStateShareKey=acrl"
        experiments = [{"name": f"acrl/{PROFILE}", "address": f"{root}/#/experiments/1/runs?{view}"}]
        assert json.loads(process.stdout.readline()) == {"address": root, "experiments": experiments}
        monkeypatch.setenv("MLFLOW_TRACKING_URI", root)
        path = save(folder, make_run("R+L2", "nfw", 0))
        for expected in (1, 0):
            done = acrl(here, "track", "-p", PROFILE)
            assert done.out == f"{expected} runs of profile {PROFILE} imported into {root}\n", done.err
        rows = shown(root)
        assert rows.keys() == {"flowpg 0", "flowpg 1", "nfw 0", "R+L2 flowpg", "R+L2 nfw"}
        run_id = rows["nfw 0"].info.run_id
        copy = Path(download_artifacts(run_id=run_id, artifact_path=path.name, tracking_uri=root))
        assert copy.read_bytes() == path.read_bytes()
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=60)
    # The server is ended with the command, and nothing but the document was printed.
    assert (rest, process.returncode) == ("", EXIT_INTERRUPTED)
    assert not answers(port)


def test_a_comparison_is_logged_once(folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = folder.parents[1]
    save(folder, *(make_run("R+L2", "nfw", seed) for seed in SEEDS))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_uri(database))
    assert import_runs(folder, PROFILE, database) == 4
    arguments = ("compare", "flowpg", "nfw", "--mlflow")
    assert f"comparison logged to {sqlite_uri(database)}" in acrl(here, *arguments).err
    again = acrl(here, *arguments, "--json")
    assert "comparison is already in" in again.err
    compared = Compared.model_validate_json(again.out)
    row = shown(database)["comparison"]
    assert (row.info.status, row.data.tags["comparison_key"]) == ("FINISHED", compared.key)
    found = {(one.quantity, one.tolerance): one for one in compared.differences}
    assert row.data.metrics["R:2b:L2/final return/difference"] == found["final return", None].difference
    assert row.data.metrics["R:2b:L2/valid share in training/0.001/a"] == found["valid share in training", 1e-3].a
    client = MlflowClient(tracking_uri=sqlite_uri(database))
    copy = Path(client.download_artifacts(row.info.run_id, "comparison.json"))
    assert Compared.model_validate_json(copy.read_text()) == compared
    # Importing runs leaves it alone, and one that was left half done is logged anew.
    assert import_runs(folder, PROFILE, database) == 0
    unfinish(database, row)
    assert "comparison logged to" in acrl(here, *arguments).err
    assert shown(database)["comparison"].info.run_id != row.info.run_id
