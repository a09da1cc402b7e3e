"""The key that names a result: of ids, versions and settings, and of nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.records import keys
from benchmark.records.config import EvaluationSettings, Params, RunConfig
from benchmark.records.keys import run_key
from benchmark.records.results import read_run
from benchmark.records.runs import Run, select, state_of, why_stale
from envs import make_task
from envs.sampling import dataset
from methods import flowpg
from methods.base import method_class
from methods.flows.realnvp import RealNVPConfig
from tests.benchmark.command import ROOT

NFW, FLOWPG = method_class("nfw"), method_class("flowpg")


def config(**method: object) -> RunConfig:
    return RunConfig(steps=100, evaluation=EvaluationSettings(every=50, episodes=1, final_episodes=1), method=method)


def test_a_key_changes_with_the_task_and_not_with_where_its_code_is() -> None:
    task = make_task("HC+O")
    changes: list[dict[str, object]] = [{}, {"version": 1}, {"max_episode_steps": 5}]
    found = {run_key(dataclasses.replace(task, **change), NFW, config(), 0) for change in changes}  # type: ignore[arg-type]
    assert len(found) == 3
    moved = dataclasses.replace(task, entry_point="elsewhere:HalfCheetah")
    assert run_key(moved, NFW, config(), 0) in found


def test_a_key_changes_with_every_version(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task("HC+O")
    found = {run_key(task, FLOWPG, config(), 0)}
    for owner, name in (
        (keys, "PROTOCOL_VERSION"),
        (FLOWPG, "version"),
        (RealNVPConfig, "version"),
        (flowpg, "SAMPLES_VERSION"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, 2)
            found.add(run_key(task, FLOWPG, config(), 0))
    assert len(found) == 5
    assert flowpg.SAMPLES_VERSION == dataset.SAMPLES_VERSION


def test_a_key_changes_with_the_seed_and_every_setting_of_a_run() -> None:
    task, run = make_task("HC+O"), config()
    other = {
        "steps": 200,
        "evaluation": run.evaluation.model_copy(update={"final_episodes": 2}),
        "update_at": "step",
        "timeout_seconds": 60.0,
        "method": {"alpha": 0.5},
    }
    assert other.keys() == RunConfig.model_fields.keys()
    changed = [run.model_copy(update={name: value}) for name, value in other.items()]
    found = {run_key(task, NFW, one, 0) for one in (run, *changed)} | {run_key(task, NFW, run, 1)}
    assert len(found) == len(other) + 2


def test_a_default_setting_is_in_no_key() -> None:
    task = make_task("HC+O")
    assert run_key(task, NFW, config(alpha=0.01), 0) == run_key(task, NFW, config(), 0)
    assert run_key(task, FLOWPG, config(flow={"layers": 6}), 0) == run_key(task, FLOWPG, config(), 0)
    assert run_key(task, FLOWPG, config(flow={"layers": 4}), 0) != run_key(task, FLOWPG, config(), 0)


def test_the_committed_record_is_current(params: Params) -> None:
    states = {run: state_of(run, params, ROOT / "results") for run in select(params, "small")}
    found = {state for state, _ in states.values()}
    assert "complete" in found
    assert found <= {"complete", "missing"}, [run for run, (state, _) in states.items() if state not in found]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"versions": {"protocol": 1, "BSS-3": 0, "nfw-target": 0}}, "version of nfw-target is 1, was 0"),
        ({"config": {"steps": 7}}, "steps is 100000, was 7"),
        ({}, "the task's environment or constraint has other parameters"),
    ],
)
def test_why_a_run_is_stale_is_told(params: Params, change: dict[str, object], reason: str) -> None:
    run = Run("small", "BSS-3", "nfw-target", 0)
    found = read_run(run.path(ROOT / "results"))
    changed = {"config": {**found.config, **change["config"]}} if "config" in change else change  # type: ignore[dict-item]
    assert why_stale(found.model_copy(update=changed), run, params) == reason
