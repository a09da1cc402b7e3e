"""Runs and comparisons as MLflow shows them, from a database and from a real tracking server."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run

from benchmark.analysis.comparison import Compared
from benchmark.cli import EXIT_INTERRUPTED
from benchmark.publishing.mlflow import import_runs, store
from benchmark.publishing.mlflow.server import answers, serve_ui
from benchmark.publishing.mlflow.store import sqlite_uri
from envs.errors import UserError
from tests.benchmark.command import acrl, shadow, start, workplace
from tests.benchmark.synthetic_results import PROFILE, SEEDS, make_failure, make_run, save

PLACE = "mß flow+1?a=b#c%41&d;e"
IMPORT = """
import sys
from pathlib import Path
from benchmark.publishing.mlflow import import_runs
print(import_runs(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
"""


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


def shown(database: Path | str) -> dict[str, Run]:
    """What the profile's experiment shows, by method and seed, or by what it is."""
    client = MlflowClient(tracking_uri=sqlite_uri(database) if isinstance(database, Path) else database)
    experiment = client.get_experiment_by_name(f"acrl/{PROFILE}")
    rows = [] if experiment is None else client.search_runs([experiment.experiment_id])
    found = {" ".join(row.data.tags.get(name, "") for name in ("method", "seed", "kind")).strip(): row for row in rows}
    assert len(found) == len(rows)
    return found


def unfinish(database: Path, row: Run) -> None:
    """Leave a run as an interrupted import would."""
    MlflowClient(tracking_uri=sqlite_uri(database)).delete_tag(row.info.run_id, "import")


def test_what_is_imported_is_what_the_file_says(folder: Path, database: Path, tmp_path: Path) -> None:
    run = make_run("R+L2", "nfw", 0)
    assert run.returns is not None
    assert run.violations is not None
    # Names and lengths that MLflow refuses.
    run.config |= {f"key(é) {number}": number for number in range(250)}
    odd = ["q[1]", "q(1)", "q_1_", "q:1", "critic//q", "critic/q", "", ":", "../x", "./x", "/x", "a" * 300, "a" * 301]
    run.curves = {"step": [float(i) for i in range(1500)]}
    run.curves |= {name: [float(number)] * 1500 for number, name in enumerate(odd)}
    path = save(folder, run)
    assert import_runs(folder, PROFILE, database) == 3
    row, client = shown(database)["nfw 0"], MlflowClient(tracking_uri=sqlite_uri(database))
    assert (row.info.status, row.info.run_name) == ("FINISHED", "R+L2 nfw seed 0")
    assert row.info.end_time - row.info.start_time == int(1000 * (run.seconds.total + run.seconds.evaluate))
    assert (row.data.params["network.hidden"], len(row.data.params)) == ("[400, 300]", 254)
    expected = {"run_key": run.run_key, "task": "R+L2", "profile": PROFILE, "dirty": "False"}
    assert expected.items() <= row.data.tags.items()
    assert row.data.tags["version.torch"] == "2.13.0"
    history = client.get_metric_history(row.info.run_id, "evaluation/return")
    assert [(m.step, m.value) for m in history] == [(e.step, e.mean) for e in run.returns.evaluations]
    curves = {name: value for name, value in row.data.metrics.items() if name.startswith("training/")}
    assert sorted(curves.values()) == list(range(len(odd)))
    assert len(client.get_metric_history(row.info.run_id, "training/q:5b:1:5d:")) == 1500
    assert row.data.metrics["final/return"] == run.returns.final.mean
    assert row.data.metrics["violations/policy/count"] == run.violations.policy.count
    assert row.data.metrics["violations/executed/valid_share/0.001"] == 1.0
    assert row.data.metrics["seconds/total"] == run.seconds.total
    assert Path(client.download_artifacts(row.info.run_id, "seed-0.json")).read_bytes() == path.read_bytes()
    assert row.info.artifact_uri.startswith((database.parent / "artifacts" / PROFILE).as_uri())
    assert {path.name for path in tmp_path.iterdir()} == {"here", PLACE}


def test_the_database_follows_the_files(folder: Path, database: Path) -> None:
    assert import_runs(folder, PROFILE, database) == 2
    before = shown(database)
    # In a checkout with other line ends, too.
    path = folder / "runs/R+L2/flowpg/seed-0.json"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert import_runs(folder, PROFILE, database) == 0
    after = shown(database)
    assert {name: row.info.run_id for name, row in after.items()} == {n: row.info.run_id for n, row in before.items()}
    # Made again: with another key, or with the same one and other seconds.
    again = make_run("R+L2", "flowpg", 1)
    again.seconds.total += 1
    save(folder, make_run("R+L2", "flowpg", 0, run_key="b" * 64), again)
    assert import_runs(folder, PROFILE, database) == 2
    rows = shown(database)
    assert rows["flowpg 0"].data.tags["run_key"] == "b" * 64
    assert rows["flowpg 1"].data.metrics["seconds/total"] == again.seconds.total
    # No longer there, and left half done.
    (folder / "runs/R+L2/flowpg/seed-1.json").unlink()
    unfinish(database, rows["flowpg 0"])
    assert import_runs(folder, PROFILE, database) == 1
    assert shown(database).keys() == {"flowpg 0"}
    assert shown(database)["flowpg 0"].info.run_id != rows["flowpg 0"].info.run_id


def test_failed_runs_are_shown_as_failed(folder: Path, database: Path) -> None:
    save(folder, make_failure("R+L2", "nfw", 0), make_failure("R+L2", "nfw", 1, status="timeout", error="gave up"))
    assert import_runs(folder, PROFILE, database) == 4
    rows = shown(database)
    assert (rows["nfw 0"].info.status, rows["nfw 1"].info.status) == ("FAILED", "KILLED")
    assert rows["nfw 0"].data.tags["error"] == "RuntimeError: loss is not | finite"
    save(folder, make_run("R+L2", "nfw", 0))
    assert import_runs(folder, PROFILE, database) == 1
    assert shown(database)["nfw 0"].info.status == "FINISHED"


@pytest.mark.slow
def test_two_imports_at_once_import_everything_once_where_a_database_was_left_half_made(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".mlflow.db.new").write_bytes(b"half of a database")
    command = [sys.executable, "-c", IMPORT, str(folder), PROFILE, "../new/mlflow.db"]
    working = tmp_path / "working"
    working.mkdir()
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, cwd=working, env=variables, text=True, **pipes) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert sorted(outputs) == [("0\n", ""), ("2\n", "")]
    assert len(shown(tmp_path / "new" / "mlflow.db")) == 2
    assert not list(working.iterdir())
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"mlflow.db", ".mlflow.db.lock", "artifacts"}


def refused(folder: Path, database: Path, message: str, server: str | None = None) -> None:
    with pytest.raises(UserError, match=message) as caught:
        import_runs(folder, PROFILE, database, server)
    assert "\n" not in str(caught.value)


def test_a_database_that_cannot_be_used_is_refused_and_left_alone(
    folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.1)
    whole = database.read_bytes()
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        refused(folder, database, "locked; another program is writing")
        other.execute("ROLLBACK")
    for damaged in (b"not a database" * 100, whole[: len(whole) // 2], whole[:5000] + b"\xff" * 5000 + whole[10000:]):
        database.write_bytes(damaged)
        refused(folder, database, "delete it and import again")
        assert database.read_bytes() == damaged
    if os.geteuid():
        database.chmod(0o444)
        refused(folder, database, "check its permissions")


def test_a_bad_file_stops_the_import_before_it_begins(folder: Path, tmp_path: Path) -> None:
    run = make_run("R+L2", "flowpg", 1, profile="paper")
    run.write(folder / "runs/R+L2/flowpg/seed-1.json")
    refused(folder, tmp_path / "new" / "mlflow.db", "profiles are never mixed")
    assert not (tmp_path / "new").exists()


# --- servers ----------------------------------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        experiments = [{"name": f"acrl/{PROFILE}", "address": f"{root}/#/experiments/1/runs"}]
        assert json.loads(process.stdout.readline()) == {"address": root, "experiments": experiments}
        monkeypatch.setenv("MLFLOW_TRACKING_URI", root)
        path = save(folder, make_run("R+L2", "nfw", 0))
        for expected in (1, 0):
            done = acrl(here, "track", "-p", PROFILE)
            assert done.out == f"{expected} runs of profile {PROFILE} imported into {root}\n", done.err
        rows = shown(root)
        assert rows.keys() == {"flowpg 0", "flowpg 1", "nfw 0"}
        run_id = rows["nfw 0"].info.run_id
        copy = Path(download_artifacts(run_id=run_id, artifact_path=path.name, tracking_uri=root))
        assert copy.read_bytes() == path.read_bytes()
    finally:
        process.terminate()
        rest, _ = process.communicate(timeout=60)
    # The server is ended with the command, and nothing but the document was printed.
    assert (rest, process.returncode) == ("", EXIT_INTERRUPTED)
    assert not answers(port)


# --- comparisons ------------------------------------------------------------------------------------------------------


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
