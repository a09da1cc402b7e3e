"""One run: its files, its state, its checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmark.records.config import Params
from benchmark.records.runs import Run, restore, select, state_of
from benchmark.training.processes import sweep
from benchmark.training.runs import execute
from benchmark.training.timing import step_keys
from tests.benchmark.command import files
from tests.benchmark.conftest import changed

NFW, OTHER = Run("smoke", "R+L2", "nfw", 0), Run("smoke", "R+L2", "nfw", 7)


@pytest.fixture
def results(smoke: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(smoke / "results", tmp_path / "results"))


def test_a_profile_and_a_task_name_their_runs(params: Params) -> None:
    profile, asked = params.profile("quick"), list(select(params, "quick"))
    references = 2 * len(profile.tasks) + len(profile.unconstrained)
    compared = len(profile.tasks) * len(profile.methods) * len(profile.seeds)
    assert len(asked) == len(set(asked)) == compared + references * len(profile.seeds)
    assert len(list(select(params, "quick", methods=profile.methods))) == compared
    for task in ("HC+N", "HC+O"):
        assert list(select(params, "quick", [task])) == [run for run in asked if run.task == task]
    own = list(select(changed(params, plain_methods=("random-feasible",)), "smoke"))
    assert len(own) == len(set(own))
    # A choice may go beyond the profile.
    assert {run.method for run in select(params, "quick", ["H+M"])} == set(profile.methods)
    assert list(select(params, "smoke", ["R+N"], ["nfw"], [7])) == [Run("smoke", "R+N", "nfw", 7)]


def test_a_method_that_is_only_timed_runs_where_it_is_asked_for_by_name(params: Params) -> None:
    less = changed(params, only_timed={"nfw": ("R+L2",)})
    gone = set(select(params, "smoke")) - set(select(less, "smoke"))
    assert {(run.task, run.method) for run in gone} == {("R+L2", "nfw")}
    assert not any(run.method == "nfw" for run in select(less, "smoke", ["R+L2"]))
    assert NFW in list(select(less, "smoke", methods=["nfw"]))
    assert "nfw" in step_keys(less, "smoke", "R+L2")


def test_a_run_that_timed_out_says_so_and_leaves_no_checkpoint(params: Params, tmp_path: Path) -> None:
    hasty = changed(params, timeout_seconds=1e-9)
    result = execute(NFW, hasty, tmp_path, lambda _: None)
    assert (result.status, result.returns) == ("timeout", None)
    assert set(files(tmp_path)) == {"smoke/runs/R+L2/nfw/seed-0.json"}
    assert state_of(NFW, hasty, tmp_path) == ("timeout", "gave up after 1e-09 s of training")
    alone = NFW.path(tmp_path).read_bytes()
    NFW.path(tmp_path).unlink()
    assert sweep([NFW], hasty, tmp_path, jobs=1) == {NFW: "gave up after 1e-09 s of training"}
    assert json.loads(NFW.path(tmp_path).read_bytes())["violations"] == json.loads(alone)["violations"] is not None


def test_a_finished_run_comes_back_after_the_pipeline_removed_it(params: Params, results: Path) -> None:
    whole = NFW.path(results).read_bytes()
    NFW.path(results).unlink()
    assert restore(NFW, params, results)
    assert NFW.path(results).read_bytes() == whole
    assert not restore(OTHER, params, results)


def test_a_result_of_other_libraries_does_not_come_back(
    params: Params, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.records.runs.library_versions", lambda: {"torch": "0.1"})
    assert not restore(NFW, params, results)
