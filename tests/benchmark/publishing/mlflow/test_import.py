"""Runs as MLflow shows them once they are imported."""

from __future__ import annotations

import json
import os
import shutil
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

from benchmark.publishing.mlflow import import_runs, store
from benchmark.publishing.mlflow.entries import curve_name
from benchmark.publishing.mlflow.store import sqlite_uri
from benchmark.records.runs import Run
from benchmark.records.store import save_tensors
from tests.benchmark.publishing.mlflow.conftest import PLACE, refused, shown, unfinish
from tests.benchmark.synthetic_results import (
    PROFILE,
    SEEDS,
    board_of,
    make_failure,
    make_flow,
    make_run,
    make_run_with_return,
    save,
    save_anchors,
)

IMPORT = """
import sys
from pathlib import Path
from benchmark.publishing.mlflow import import_runs
print(import_runs(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
"""


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


def test_means_and_scores_leave_out_seeds_that_the_profile_does_not_have(folder: Path, database: Path) -> None:
    save_anchors(folder)
    shutil.rmtree(folder / "runs/HC+O")
    shutil.rmtree(folder / "runs/HC+N")
    import_runs(folder, PROFILE, database, counted=SEEDS)
    expected = shown(database)
    # Such seeds would move the reference returns, and with them every score, and the mean.
    save(folder, make_run_with_return("R+L2", "flowpg", 7, 1e3), make_run_with_return("R+N", "ddpg-projection", 7, 1e3))
    import_runs(folder, PROFILE, database, counted=SEEDS)
    found = shown(database)
    assert {"flowpg 7", "ddpg-projection 7"} <= found.keys()
    for name in ("R+L2 flowpg", "R+N ddpg-projection", "flowpg 0"):
        assert found[name].data.metrics == expected[name].data.metrics


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


def test_the_critics_loss_has_one_name_for_all_learners() -> None:
    assert {curve_name(f"update/{name}") for name in ("critic_loss", "critics_loss")} == {"loss/critic"}
