"""Trainings as MLflow shows them while they run."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from benchmark.publishing.mlflow import import_runs
from benchmark.publishing.mlflow.live import MlflowTracker
from benchmark.publishing.mlflow.store import sqlite_uri
from benchmark.records.config import Params, load_params
from benchmark.records.results import Evaluation
from benchmark.records.runs import Run
from benchmark.training.runs import execute
from tests.benchmark.command import acrl, workplace
from tests.benchmark.publishing.mlflow.conftest import free_port, shown
from tests.benchmark.synthetic_results import (
    PROFILE,
    make_run,
    save,
)


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
    assert err.getvalue().startswith(
        "warning: R+L2 nfw seed 0 is not shown in MLflow while it trains: cannot use the MLflow"
    )


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
