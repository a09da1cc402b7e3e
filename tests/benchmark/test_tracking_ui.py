"""MLflow's interface on the imported runs."""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path

import pytest

from benchmark.cli import EXIT_INTERRUPTED
from benchmark.publishing.mlflow.importing import create_database, import_runs
from benchmark.publishing.mlflow.server import answers, serve_ui, ui_command
from envs.errors import UserError
from tests.benchmark.command import start
from tests.benchmark.factories import PROFILE, SEEDS, make_run, save


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / PROFILE
    for seed in SEEDS:
        save(folder, make_run("R+L2", "flowpg", seed))
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mlflow" / "mlflow.db"
    path.parent.mkdir()
    create_database(path)
    return path


def test_interface_without_a_database_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="import the runs first, with `acrl track`"):
        serve_ui(tmp_path / "mlflow.db", 5000, print)


def test_interface_on_a_port_in_use_is_refused(database: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use"):
            serve_ui(database, port, print)


def test_interface_is_given_absolute_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = ui_command(Path("mlflow.db"), 5001)
    assert command[command.index("--backend-store-uri") + 1] == f"sqlite:///{tmp_path}/mlflow.db"
    assert command[command.index("--default-artifact-root") + 1] == f"file://{tmp_path}/artifacts"
    assert command[command.index("--port") + 1] == "5001"


@pytest.mark.slow
def test_interface_shows_the_runs(folder: Path, database: Path, tmp_path: Path) -> None:
    import_runs(folder, PROFILE, database)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = start(tmp_path, "ui", "--port", str(port), "--json", "--results", str(tmp_path))
    try:
        assert process.stdout is not None
        root = f"http://127.0.0.1:{port}"
        experiments = [{"name": f"acrl/{PROFILE}", "address": f"{root}/#/experiments/1/runs"}]
        assert json.loads(process.stdout.readline()) == {"address": root, "experiments": experiments}
        with urllib.request.urlopen(f"{root}/health") as answer:
            assert answer.status == 200
        body = json.dumps({"experiment_ids": ["1"]}).encode()
        address = f"http://127.0.0.1:{port}/api/2.0/mlflow/runs/search"
        request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            assert len(json.load(answer)["runs"]) == 2
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=60)
    # The server is ended with the command, and nothing but the document was printed.
    assert (rest, process.returncode) == ("", EXIT_INTERRUPTED)
    assert not answers(port)
