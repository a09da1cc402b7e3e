"""The command line at work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmark.records.reports import VisitedReport
from benchmark.records.results import read_record, read_run
from benchmark.records.store import load_tensors
from envs import list_tasks
from methods import list_methods
from tests.benchmark.command import acrl, files, workplace
from tests.methods.learners import ALL_METHODS

RUN = "results/smoke/runs/R+L2/{}/seed-0.json"


@pytest.fixture
def copy(smoke: Path, tmp_path: Path) -> Path:
    """A copy of the results to spoil or add to."""
    return Path(shutil.copytree(smoke, tmp_path / "copy"))


def test_list_names_everything(tmp_path: Path) -> None:
    done = acrl(workplace(tmp_path), "list")
    assert done.code == 0
    for name in (*list_tasks(), *ALL_METHODS, "smoke", "quick", "paper"):
        assert f"\n  {name} " in done.out or f"\n  {name}\n" in done.out


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["--version"], ["run", "--help"], ["sweep", "-h"]])
def test_help(tmp_path: Path, arguments: list[str]) -> None:
    done = acrl(tmp_path, *arguments)
    assert done.code == 0
    assert done.err == ""


@pytest.mark.parametrize("method", ALL_METHODS)
def test_the_same_run_again_gives_the_same_json(smoke: Path, tmp_path: Path, method: str) -> None:
    again = acrl(smoke, "run", "R+L2", method, "--profile", "smoke", "--results", tmp_path)
    assert again.code == 0
    path = tmp_path / "smoke" / "runs" / "R+L2" / method / "seed-0.json"
    assert again.out.strip() == str(path)
    results = [json.loads(p.read_text()) for p in (smoke / RUN.format(method), path)]
    for result in results:
        assert result["status"] == "complete"
        del result["seconds"], result["provenance"]
    assert results[0] == results[1]


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_complete_run_leaves_a_checkpoint_of_its_own(smoke: Path, method: str) -> None:
    _, facts = load_tensors(smoke / f"results/smoke/checkpoints/R+L2/{method}/seed-0.safetensors")
    assert facts["run_key"] == read_run(smoke / RUN.format(method)).run_key


@pytest.mark.parametrize("method", ALL_METHODS)
def test_evaluate_runs_the_last_policy(smoke: Path, method: str) -> None:
    first, again, other = (
        acrl(smoke, "evaluate", RUN.format(method), "--episodes", "2", "--seed", seed) for seed in ("0", "0", "1")
    )
    evaluation = json.loads(first.out)
    assert len(evaluation["episodes"]) == 2
    assert first == again
    assert json.loads(other.out)["episodes"] != evaluation["episodes"]


def test_status_tells_complete_from_missing(smoke: Path) -> None:
    lines = acrl(smoke, "status", "--profile", "smoke").out.splitlines()
    # Returns are measured by four runs more: random actions on two tasks, and two tasks without the constraint.
    assert lines[-1] == f"profile smoke: {len(ALL_METHODS)} complete, {len(ALL_METHODS) + 4} missing"
    complete = {tuple(line.split()[:2]) for line in lines[:-1] if line.endswith("complete")}
    assert complete == {("R+L2", method) for method in ALL_METHODS}


def test_status_tells_stale_from_complete(copy: Path) -> None:
    params = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(params.replace("steps: 150", "steps: 160"))
    done = acrl(copy, "status", "--profile", "smoke", "--task", "R+L2")
    assert done.out.splitlines()[-1] == f"profile smoke: {len(ALL_METHODS)} stale"
    assert "stale (steps is 160, was 150)" in done.out


def test_status_tells_flows_of_other_settings(smoke: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(smoke, tmp_path / "flows"))
    assert acrl(copy, "flows", "R+L2", "--profile", "smoke", "--method", "flowpg").code == 0

    def states() -> set[str]:
        return set(acrl(copy, "status", "--profile", "smoke", "--flows").out.splitlines())

    assert {f"R+L2     {'flowpg':20} complete", f"BSS-3    {'flowpg':20} missing"} <= states()
    params = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(params.replace("updates: 60", "updates: 61"))
    assert f"R+L2     {'flowpg':20} stale" in states()
    assert "1 flows are of other versions or settings" in acrl(copy, "tables", "--profile", "smoke").err


def test_a_sweep_with_nothing_to_do_does_nothing(copy: Path) -> None:
    before = files(copy)
    done = acrl(copy, "sweep", "--profile", "smoke", "--task", "R+L2")
    assert done.code == 0
    assert done.out == f"{len(ALL_METHODS)} runs of profile smoke: {len(ALL_METHODS)} complete, 0 to do\n"
    assert files(copy) == before


def test_what_a_write_that_was_cut_left_behind_is_no_result(copy: Path) -> None:
    (copy / RUN.format("nfw")).with_name(".seed-0.json.x1y2z3").write_text('{"schema_ver')
    assert acrl(copy, "status", "--profile", "smoke").code == 0
    (copy / RUN.format("nfw")).unlink()
    assert f"{len(ALL_METHODS) - 1} complete" in acrl(copy, "status", "--profile", "smoke").out


def test_samples_and_flows_are_what_the_run_would_make(smoke: Path, tmp_path: Path) -> None:
    arguments = ("R+L2", "--profile", "smoke", "--results", tmp_path)
    assert acrl(smoke, "samples", *arguments).code == 0
    done = acrl(smoke, "flows", *arguments, "--method", "flowpg")
    assert [Path(line).name for line in done.out.splitlines()] == ["R+L2.safetensors", "R+L2.json"]
    made, _ = load_tensors(tmp_path / "smoke/flows/flowpg/R+L2.safetensors")
    kept, _ = load_tensors(smoke / "results/smoke/flows/flowpg/R+L2.safetensors")
    assert all((made[name] == kept[name]).all() for name in kept)


def test_flows_are_measured_where_trained_policies_go(copy: Path) -> None:
    done = acrl(copy, "visited", "R+L2", "--profile", "smoke", "--method", "flowpg-gauge")
    assert done.code == 0, done.err
    report = read_record(copy / "results/smoke/flows/flowpg-gauge/R+L2.visited.json", VisitedReport)
    # Nothing of the state enters this constraint, so that there is one state to speak of.
    assert (report.seeds, report.states, report.draws) == ([0], 1, 2000)
    assert report.validity["uniform"]["0"] == report.validity["boundary"]["0"] == 1


def test_without_a_run_there_are_no_visited_states(tmp_path: Path) -> None:
    done = acrl(workplace(tmp_path), "visited", "R+L2", "--profile", "smoke", "--method", "flowpg")
    assert done.code == 2
    assert "no complete run with a flow on R+L2" in done.err


def test_methods_listed_are_those_registered(tmp_path: Path) -> None:
    shown = acrl(workplace(tmp_path), "list").out.split("Methods\n")[1].split("Profiles")[0].split()
    assert shown == list_methods()
