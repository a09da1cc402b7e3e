from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from benchmark.publishing.mlflow import importing as tracking
from benchmark.publishing.mlflow.importing import import_runs, sqlite_uri
from envs.errors import UserError
from tests.benchmark.synthetic_results import (
    METHODS,
    PROFILE,
    SEEDS,
    TWO_TASKS,
    alter,
    fill,
    make_failure,
    make_run,
    save,
)

EXPERIMENT = f"acrl/{PROFILE}"
IMPORT = """
import sys
from pathlib import Path
from benchmark.publishing.mlflow.importing import import_runs
print(import_runs(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
"""


@pytest.fixture
def database(tmp_path: Path, empty_database: Path) -> Path:
    """An empty database, since making one takes seconds; in a folder whose name needs quoting."""
    path = tmp_path / "ml flow+1" / "mlflow.db"
    path.parent.mkdir()
    return Path(shutil.copy(empty_database, path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "results" / PROFILE
    for seed in SEEDS:
        save(folder, make_run("R+L2", "flowpg", seed))
    return folder


def shown(database: Path) -> list[Run]:
    client = MlflowClient(tracking_uri=sqlite_uri(database))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def start(folder: Path, database: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", IMPORT, str(folder), PROFILE, str(database)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def count_runs(database: Path) -> int:
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


def test_what_is_imported_is_what_the_file_says(folder: Path, database: Path) -> None:
    assert import_runs(folder, PROFILE, database) == 2
    result = make_run("R+L2", "flowpg", 0)
    assert result.returns is not None
    assert result.violations is not None
    (row,) = [row for row in shown(database) if row.data.tags["seed"] == "0"]
    client = MlflowClient(tracking_uri=sqlite_uri(database))
    assert row.info.status == "FINISHED"
    assert row.info.run_name == "R+L2 flowpg seed 0"
    assert row.info.end_time - row.info.start_time == int(1000 * (result.seconds.total + result.seconds.evaluate))
    assert row.data.params["network.hidden"] == "[400, 300]"
    assert row.data.params["steps"] == "20000"
    expected = {"run_key": result.run_key, "task": "R+L2", "method": "flowpg", "profile": PROFILE, "dirty": "False"}
    assert expected.items() <= row.data.tags.items()
    assert row.data.tags["version.torch"] == "2.13.0"
    history = client.get_metric_history(row.info.run_id, "evaluation/return")
    assert [(m.step, m.value) for m in history] == [(e.step, e.mean) for e in result.returns.evaluations]
    curve = client.get_metric_history(row.info.run_id, "training/violations/policy")
    assert [m.value for m in curve] == result.curves["violations/policy"]
    assert row.data.metrics["final/return"] == result.returns.final.mean
    assert row.data.metrics["violations/policy/count"] == result.violations.policy.count
    assert row.data.metrics["violations/executed/valid_share/0.001"] == 1.0
    assert row.data.metrics["seconds/total"] == result.seconds.total
    copy = Path(client.download_artifacts(row.info.run_id, "seed-0.json"))
    assert copy.read_bytes() == (folder / "runs/R+L2/flowpg/seed-0.json").read_bytes()
    assert row.info.artifact_uri.startswith((database.parent / "artifacts" / PROFILE).as_uri())


def test_importing_twice_changes_nothing(folder: Path, database: Path) -> None:
    assert import_runs(folder, PROFILE, database) == 2
    before = {row.info.run_id: row.data.to_dictionary() for row in shown(database)}
    assert import_runs(folder, PROFILE, database) == 0
    assert {row.info.run_id: row.data.to_dictionary() for row in shown(database)} == before
    assert count_runs(database) == 2


def test_a_database_half_made_is_made_anew_and_nothing_is_left_in_the_working_directory(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "new"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / ".mlflow.db.new").write_bytes(b"half of a database")
    monkeypatch.chdir(tmp_path / "here")
    assert import_runs(folder, PROFILE, Path("../new/mlflow.db")) == 2
    assert not list((tmp_path / "here").iterdir())
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"mlflow.db", ".mlflow.db.lock", "artifacts"}


def test_a_run_made_again_replaces_the_one_shown(folder: Path, database: Path) -> None:
    import_runs(folder, PROFILE, database)
    save(folder, make_run("R+L2", "flowpg", 0, run_key="b" * 64))
    again = make_run("R+L2", "flowpg", 1)
    again.seconds.total += 1
    save(folder, again)
    assert import_runs(folder, PROFILE, database) == 2
    rows = {row.data.tags["seed"]: row for row in shown(database)}
    assert len(rows) == len(shown(database)) == 2
    assert rows["0"].data.tags["run_key"] == "b" * 64
    assert rows["1"].data.metrics["seconds/total"] == again.seconds.total


def test_a_run_that_is_no_longer_on_disk_is_not_shown(folder: Path, database: Path) -> None:
    import_runs(folder, PROFILE, database)
    (folder / "runs/R+L2/flowpg/seed-1.json").unlink()
    assert import_runs(folder, PROFILE, database) == 0
    assert [row.data.tags["seed"] for row in shown(database)] == ["0"]


def test_failed_runs_are_shown_as_failed(folder: Path, database: Path) -> None:
    save(folder, make_failure("R+L2", "nfw", 0))
    save(folder, make_failure("R+L2", "nfw", 1, status="timeout", error="gave up after 60 s"))
    assert import_runs(folder, PROFILE, database) == 4
    rows = {(row.data.tags["method"], row.data.tags["seed"]): row for row in shown(database)}
    assert rows["nfw", "0"].info.status == "FAILED"
    assert rows["nfw", "0"].data.tags["error"] == "RuntimeError: loss is not | finite"
    assert rows["nfw", "1"].info.status == "KILLED"
    save(folder, make_run("R+L2", "nfw", 0))
    assert import_runs(folder, PROFILE, database) == 1
    rows = {(row.data.tags["method"], row.data.tags["seed"]): row for row in shown(database)}
    assert rows["nfw", "0"].info.status == "FINISHED"


def test_names_and_lengths_that_mlflow_refuses_are_mended(folder: Path, database: Path) -> None:
    run = make_run("R+L2", "nfw", 0)
    run.config |= {f"key(é) {number}": number for number in range(250)}
    run.curves["loss (mean), [1]"] = list(range(len(run.curves["step"])))
    run.curves["step"], length = [float(i) for i in range(1500)], 1500
    for name in run.curves:
        run.curves[name] = (run.curves[name] * length)[:length]
    save(folder, run)
    assert import_runs(folder, PROFILE, database) == 3
    (row,) = [row for row in shown(database) if row.data.tags["method"] == "nfw"]
    assert len(row.data.params) == 254
    client = MlflowClient(tracking_uri=sqlite_uri(database))
    assert len(client.get_metric_history(row.info.run_id, "training/loss _mean__ _1_")) == 1500


@pytest.mark.slow
def test_a_killed_import_is_finished_by_the_next(tmp_path: Path, database: Path) -> None:
    folder = tmp_path / "results" / PROFILE
    fill(folder, TWO_TASKS)
    wanted = 2 * len(METHODS) * len(SEEDS)
    process = start(folder, database)
    limit = time.monotonic() + 120
    while count_runs(database) < 3 and time.monotonic() < limit:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 3 <= count_runs(database) < wanted
    whole = [row.info.run_id for row in shown(database) if row.data.tags.get("import") == "complete"]
    assert import_runs(folder, PROFILE, database) == wanted - len(whole)
    rows = shown(database)
    assert len(rows) == wanted
    assert {row.data.tags["import"] for row in rows} == {"complete"}
    assert set(whole) <= {row.info.run_id for row in rows}


def test_a_half_imported_run_is_made_anew(folder: Path, database: Path) -> None:
    import_runs(folder, PROFILE, database)
    half = shown(database)[0]
    MlflowClient(tracking_uri=sqlite_uri(database)).delete_tag(half.info.run_id, "import")
    assert import_runs(folder, PROFILE, database) == 1
    assert half.info.run_id not in {row.info.run_id for row in shown(database)}
    assert len(shown(database)) == 2


@pytest.mark.slow
def test_two_imports_at_once_import_everything_once(folder: Path, tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    processes = [start(folder, database) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in processes]
    assert sorted(out.strip() for out, _ in outputs) == ["0", "2"], outputs
    assert [err for _, err in outputs] == ["", ""]
    assert len(shown(database)) == 2


def refused(folder: Path, database: Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        import_runs(folder, PROFILE, database)
    assert "\n" not in str(caught.value)


def test_a_corrupt_database_is_refused_and_left_alone(folder: Path, database: Path) -> None:
    whole = database.read_bytes()
    for damaged in (b"not a database" * 100, whole[: len(whole) // 2], whole[:5000] + b"\xff" * 5000 + whole[10000:]):
        database.write_bytes(damaged)
        refused(folder, database, "delete it and import again")
        assert database.read_bytes() == damaged


def test_a_locked_database_is_refused(folder: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "BUSY_SECONDS", 0.1)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        refused(folder, database, "locked; another program is writing")
        other.execute("ROLLBACK")
    assert import_runs(folder, PROFILE, database) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anything")
def test_a_read_only_database_is_refused(folder: Path, database: Path) -> None:
    database.chmod(0o444)
    refused(folder, database, "check its permissions")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"profile": "paper"}, "profiles are never mixed"),
        ({"curves": 1}, "damaged at 'curves'"),
    ],
)
def test_a_bad_file_stops_the_import_before_it_begins(
    folder: Path, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = folder / "runs/R+L2/flowpg/seed-1.json"
    alter(path, lambda data: data.update(changes))
    refused(folder, tmp_path / "new" / "mlflow.db", message)
    assert not (tmp_path / "new").exists()
