"""Import into a real MLflow tracking server, which keeps its database and artifacts to itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from benchmark.publishing.mlflow.importing import import_runs_to_server
from envs.errors import UserError
from tests.benchmark.command import acrl, workplace
from tests.benchmark.synthetic_results import PROFILE, make_run, save

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1", "--port"]
    command += [str(port := free_port()), "--backend-store-uri", f"sqlite:///{folder}/server.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    variables = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=variables, start_new_session=True)
    try:
        wait_for(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where ``acrl`` is run; two runs of the profile lie below it."""
    for seed in (0, 1):
        save(tmp_path / "results" / PROFILE, make_run("R+L2", "flowpg", seed))
    return workplace(tmp_path)


def wait_for(address: str) -> None:
    limit = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(address):
                return
        except OSError:
            assert time.monotonic() < limit, "the server did not start"
            time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_track_imports_into_the_server(server: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    for expected in (2, 0):
        done = acrl(folder, "track", "-p", PROFILE)
        assert done.out == f"{expected} runs of profile {PROFILE} imported into {server}\n", done.err
    assert not (folder / "results/mlflow").exists()
    client = MlflowClient(server)
    experiment = client.get_experiment_by_name(f"acrl/{PROFILE}")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["seed"] for run in runs) == ["0", "1"]
    for run in runs:
        name = f"seed-{run.data.tags['seed']}.json"
        copy = Path(download_artifacts(run_id=run.info.run_id, artifact_path=name, tracking_uri=server))
        assert copy.read_bytes() == (folder / f"results/{PROFILE}/runs/R+L2/flowpg" / name).read_bytes()


def test_a_server_that_does_not_answer_is_said_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UserError, match="check that it runs and that MLFLOW_TRACKING_URI is its address") as error:
        import_runs_to_server(folder / "results" / PROFILE, PROFILE, f"http://127.0.0.1:{free_port()}")
    assert "\n" not in str(error.value)
