"""Runs and comparisons as MLflow shows them, from a database and from a real tracking server."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from statistics import fmean
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
import torch
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run as Row

from benchmark.analysis.comparison import Compared
from benchmark.cli import EXIT_INTERRUPTED
from benchmark.publishing.mlflow import import_runs, store
from benchmark.publishing.mlflow.live import MlflowTracker
from benchmark.publishing.mlflow.server import answers, serve_ui
from benchmark.publishing.mlflow.store import sqlite_uri
from benchmark.records.config import Params, load_params
from benchmark.records.results import Evaluation
from benchmark.records.runs import Run
from benchmark.records.store import save_tensors
from benchmark.training.runs import execute
from envs.errors import UserError
from tests.benchmark.command import acrl, shadow, start, workplace
from tests.benchmark.synthetic_results import (
    PROFILE,
    SEEDS,
    board_of,
    make_failure,
    make_flow,
    make_run,
    save,
    save_anchors,
)

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


def test_what_is_imported_is_what_the_file_says(folder: Path, database: Path, tmp_path: Path) -> None:
    run = make_run("R+L2", "nfw", 0)
    assert run.returns is not None
    assert run.violations is not None
    # Names and lengths that MLflow refuses.
    run.config |= {f"key(é) {number}": number for number in range(250)}
    odd = ["q[1]", "q(1)", "q_1_", "q:1", "critic//q", "critic/q", "", ":", "../x", "./x", "/x", "a" * 300, "a" * 301]
    run.curves = {"step": [float(i) for i in range(1500)]}
    run.curves |= {name: [float(number)] * 1500 for number, name in enumerate(odd)}
    run.curves |= {"update/critic_loss": [None, *[1.0] * 1499], "update/alpha": [2.0] * 1500}
    path = save(folder, run)
    assert import_runs(folder, PROFILE, database) == 3
    row, client = shown(database)["nfw 0"], MlflowClient(tracking_uri=sqlite_uri(database))
    assert (row.info.status, row.info.run_name) == ("FINISHED", "R+L2 nfw seed 0")
    assert row.info.end_time - row.info.start_time == int(1000 * (run.seconds.total + run.seconds.evaluate))
    assert row.data.params["network.hidden"] == "[400, 300]"
    assert {"task": "R+L2", "method": "nfw", "seed": "0", "profile": PROFILE}.items() <= row.data.params.items()
    assert row.data.tags["mlflow.source.name"] == f"acrl run R+L2 nfw --seed 0 -p {PROFILE}"
    assert "Frank-Wolfe" in row.data.tags["mlflow.note.content"]
    expected = {"run_key": run.run_key, "task": "R+L2", "profile": PROFILE, "dirty": "False"}
    assert expected.items() <= row.data.tags.items()
    assert row.data.tags["version.torch"] == "2.13.0"
    history = client.get_metric_history(row.info.run_id, "return/eval")
    assert [(m.step, m.value) for m in history] == [(e.step, e.mean) for e in run.returns.evaluations]
    curves = {name: value for name, value in row.data.metrics.items() if name.startswith("training/")}
    assert sorted(curves.values()) == list(range(len(odd)))
    assert (row.data.metrics["loss/critic"], row.data.metrics["update/alpha"]) == (1.0, 2.0)
    assert len(client.get_metric_history(row.info.run_id, "training/q:5b:1:5d:")) == 1500
    assert row.data.metrics["final/return"] == run.returns.final.mean
    assert row.data.metrics["violations/policy/mean"] == run.violations.policy.mean
    assert row.data.metrics["violations/executed/valid_0.001"] == 1.0
    assert row.data.metrics["final/valid_1e-6"] == run.final_policy.violations.valid_share["1e-06"]
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
    assert shown(database).keys() == {"flowpg 0", "R+L2 flowpg"}
    assert shown(database)["flowpg 0"].info.run_id != rows["flowpg 0"].info.run_id


def test_a_method_has_the_means_over_its_seeds_which_are_below_it(folder: Path, database: Path) -> None:
    save_anchors(folder)
    shutil.rmtree(folder / "runs/HC+O")
    shutil.rmtree(folder / "runs/HC+N")
    save(folder, make_flow("R+L2"), make_failure("R+L2", "flowpg", 2))
    import_runs(folder, PROFILE, database)
    rows, client = shown(database), MlflowClient(tracking_uri=sqlite_uri(database))
    seeds, method = [rows[f"flowpg {seed}"] for seed in SEEDS], rows["R+L2 flowpg"]
    assert method.info.run_name == "R+L2 flowpg"
    assert {row.data.tags["mlflow.parentRunId"] for row in seeds} == {method.info.run_id}
    assert "2 of 3 runs are complete" in method.data.tags["mlflow.note.content"]
    for name in ("return/eval", "violations/policy/share", "final/score", "final/return", "seconds/total"):
        assert method.data.metrics[name] == pytest.approx(fmean(row.data.metrics[name] for row in seeds))
    board = board_of(folder)
    assert [row.data.metrics["final/score"] for row in seeds] == board.scores["R+L2", "flowpg"]
    flow = board.found.flows["R+L2", "flowpg"]
    assert seeds[0].data.metrics["flow/recall"] == flow.recall
    assert method.data.metrics["flow/uniform/valid_1e-6"] == pytest.approx(flow.validity["uniform"]["1e-06"])
    history = client.get_metric_history(method.info.run_id, "violations/policy/share")
    run = make_run("R+L2", "flowpg", 0)
    assert run.violations is not None
    assert [point.step for point in history] == run.curves["step"]
    # Another seed: the method is shown anew, and the seeds are below it.
    save(folder, make_run("R+L2", "flowpg", 2))
    assert import_runs(folder, PROFILE, database) == 1
    again = shown(database)
    assert again["R+L2 flowpg"].info.run_id != method.info.run_id
    assert again["flowpg 0"].info.run_id == seeds[0].info.run_id
    parents = {again[f"flowpg {seed}"].data.tags["mlflow.parentRunId"] for seed in (*SEEDS, 2)}
    assert parents == {again["R+L2 flowpg"].info.run_id}


def test_samples_are_the_dataset_and_the_policy_is_the_model(folder: Path, database: Path) -> None:
    run = make_run("R+L2", "flowpg", 0, versions={"R+L2": 1, "samples": 2})
    run.config["method"] = {"samples": {"train": 2000, "test": 1000}}
    save(folder, run)
    place = Run(PROFILE, "R+L2", "flowpg", 0).checkpoint(folder.parent)
    save_tensors(place, {"actor": torch.ones(3)}, {"run_key": run.run_key})
    import_runs(folder, PROFILE, database)
    row, client = shown(database)["flowpg 0"], MlflowClient(tracking_uri=sqlite_uri(database))
    (dataset,) = row.inputs.dataset_inputs
    assert (dataset.dataset.name, json.loads(dataset.dataset.profile)) == (
        "R+L2 samples",
        {"train": 2000, "test": 1000},
    )
    (output,) = row.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    copy = Path(url2pathname(urlsplit(model.artifact_location).path)) / place.name
    assert (model.name, copy.read_bytes()) == ("R+L2 flowpg seed 0", place.read_bytes())
    # A policy of another run is none of it, and what MLflow shows of the old one is deleted with it.
    save_tensors(place, {"actor": torch.ones(3)}, {"run_key": "0" * 64})
    assert import_runs(folder, PROFILE, database) == 1
    assert shown(database)["flowpg 0"].outputs.model_outputs == []
    assert client.search_logged_models([row.info.experiment_id]) == []


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
    assert len(shown(tmp_path / "new" / "mlflow.db")) == 3
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


# --- trainings in progress ------------------------------------------------------------------------------------------


def test_a_training_is_seen_at_each_evaluation_and_taken_over_by_the_import(
    params: Params, database: Path, tmp_path: Path
) -> None:
    run, key = Run("smoke", "R+L2", "nfw", 0), Run("smoke", "R+L2", "nfw", 0).key(params)
    client, seen = MlflowClient(tracking_uri=sqlite_uri(database)), list[tuple[str, list[int]]]()

    def look(step: int) -> None:
        # Steps 51 and 101: an evaluation is behind.
        if step % 50 == 1 and step > 50:
            row = shown(database, "smoke")["training nfw 0"]
            history = client.get_metric_history(row.info.run_id, "return/eval")
            seen.append((row.info.status, [point.step for point in history]))
            if step == 101 and len(seen) == 2:
                raise KeyboardInterrupt

    tracker = MlflowTracker(database)
    with pytest.raises(KeyboardInterrupt):
        execute(run, params, tmp_path, look, 0.0, tracker)
    assert seen == [("RUNNING", [50]), ("RUNNING", [50, 100])]
    begun = shown(database, "smoke")["training nfw 0"]
    assert (begun.info.status, begun.data.tags["run_key"]) == ("KILLED", key)
    # It goes on where it is shown, with no point twice.
    result = execute(run, params, tmp_path, look, 0.0, tracker)
    assert result.returns is not None
    ended = shown(database, "smoke")["training nfw 0"]
    assert (ended.info.status, ended.info.run_id) == ("FINISHED", begun.info.run_id)
    history = client.get_metric_history(ended.info.run_id, "return/eval")
    assert [(m.step, m.value) for m in history] == [(e.step, e.mean) for e in result.returns.evaluations]
    assert ended.data.metrics["final/return"] == result.returns.final.mean
    for expected in (1, 0):
        assert import_runs(tmp_path / "smoke", "smoke", database) == expected
        row = shown(database, "smoke")["nfw 0"]
        assert row.info.run_id == begun.info.run_id
        assert row.data.tags["mlflow.parentRunId"] == shown(database, "smoke")["R+L2 nfw"].info.run_id
        assert len(client.get_metric_history(row.info.run_id, "return/eval")) == len(history)


def test_what_trains_is_left_alone_by_an_import(folder: Path, params: Params, database: Path) -> None:
    run = Run(PROFILE, "R+L2", "nfw", 0)
    live = MlflowTracker(database).begin(run, "a" * 64, run.config(params), make_run().provenance)
    evaluation = Evaluation(step=500, mean=-1.0, episodes=[-1.0])
    live([evaluation], {}, make_run().violations)
    assert import_runs(folder, PROFILE, database) == 2
    assert "training nfw 0" in shown(database)
    # Its points are not those of the JSON, as of a run made again by other libraries: it is shown anew.
    live.end("interrupted", folder)
    save(folder, make_run("R+L2", "nfw", 0, run_key="a" * 64))
    before = shown(database)["training nfw 0"].info.run_id
    assert import_runs(folder, PROFILE, database) == 1
    assert shown(database)["nfw 0"].info.run_id != before


def test_a_store_that_cannot_be_used_is_said_once_and_fails_no_run(
    nfw_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    arguments = ("run", "R+L2", "nfw", "-p", "smoke", "--force")
    done = acrl(nfw_copy, *arguments, "--mlflow")
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert re.match("warning: cannot use the MLflow server .* not shown while they train", line)
    # Away since it began.
    run, params = Run("smoke", "R+L2", "nfw", 0), load_params(nfw_copy / "params.yaml")
    tracker = MlflowTracker(nfw_copy / "none.db", os.environ["MLFLOW_TRACKING_URI"])
    with contextlib.redirect_stderr(io.StringIO()) as err:
        assert execute(run, params, nfw_copy / "results", lambda _: None, 60.0, tracker).status == "complete"
    assert err.getvalue().count("\n") == 1
    assert err.getvalue().startswith("warning: R+L2 nfw seed 0 is not shown while it trains: cannot use the MLflow")


@pytest.mark.slow
def test_a_sweep_of_two_processes_is_seen(tmp_path: Path, empty_database: Path) -> None:
    here = workplace(tmp_path, seeds=[0, 1])
    database = here / "results/mlflow/mlflow.db"
    database.parent.mkdir(parents=True)
    shutil.copy(empty_database, database)
    arguments = ("sweep", "-p", "smoke", "--task", "R+L2", "--method", "ddpg-penalty", "-j", "2", "--mlflow")
    done = acrl(here, *arguments)
    assert (done.code, done.err) == (0, "")
    rows = shown(database, "smoke")
    assert {name: row.info.status for name, row in rows.items()} == {
        f"training ddpg-penalty {seed}": "FINISHED" for seed in (0, 1)
    }
    assert "2 runs of profile smoke imported" in acrl(here, "track", "-p", "smoke").out
    after = shown(database, "smoke")
    assert {after[f"ddpg-penalty {seed}"].info.run_id for seed in (0, 1)} == {row.info.run_id for row in rows.values()}


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
