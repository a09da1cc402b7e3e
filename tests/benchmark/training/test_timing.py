"""The timing of training steps: real methods by the real harness, and the table made of it. No time is asserted."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.records.config import Params, RunConfig
from benchmark.records.reports import TimedRound, TimingReport, timing_path
from benchmark.records.results import read_record
from benchmark.training import timing
from benchmark.training.timing import busy_seconds, time_round, time_steps, timing_state, turns
from envs.registry import TaskSpec
from tests.benchmark.conftest import changed

FEW = ("flowpg", "ddpg-projection-qp", "ddpg-penalty")


@pytest.fixture(scope="module")
def params(params: Params) -> Params:
    """Profile smoke on R+L2 with three methods."""
    return changed(params, tasks=("R+L2",), flow_methods=FEW[:1], plain_methods=FEW[1:])


@pytest.fixture(scope="module")
def timed(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one task timed, by turns in the promised order."""
    results = tmp_path_factory.mktemp("results")
    done, order = list[int](), list[tuple[str, int]]()

    def noted(task: TaskSpec, method: str, config: RunConfig, steps: int, folder: Path) -> TimedRound:
        order.append((method, steps))
        return time_round(task, method, config, steps, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "time_round", noted)
        assert time_steps(params, "smoke", "R+L2", results, done.append) == timing_path(results / "smoke", "R+L2")
    assert done == list(range(1, turns(params, "smoke") + 1))
    # A short turn that is discarded, then rounds back and forth.
    methods, settings = params.profiles["smoke"].methods, params.profiles["smoke"].timing
    assert settings.rounds == 2
    turns_of = [(methods, settings.steps // 10), (methods, settings.steps), (methods[::-1], settings.steps)]
    assert order == [(method, steps) for names, steps in turns_of for method in names]
    return results


def test_every_method_has_its_rounds_and_every_part_its_time(params: Params, timed: Path) -> None:
    report = read_record(timing_path(timed / "smoke", "R+L2"), TimingReport)
    settings = params.profiles["smoke"].timing
    assert {method: len(rounds) for method, rounds in report.rounds.items()} == dict.fromkeys(FEW, settings.rounds)
    assert (report.task, report.profile, report.steps) == ("R+L2", "smoke", settings.steps)
    assert report.solvers == {"flowpg": "exact", "ddpg-projection-qp": "cvxpy", "ddpg-penalty": "exact"}
    assert report.flows == ["flowpg"]
    for one in (one for rounds in report.rounds.values() for one in rounds):
        # An update in every round: learning starts with the first step.
        assert min(one.act, one.env, one.update) > 0
        assert one.step == pytest.approx(one.act + one.project + one.env + one.update + one.other)
    assert all(one.project > 0 for one in report.rounds["ddpg-projection-qp"])


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({"steps": 99_000, "seeds": (5,)}, "complete"),
        ({"plain_methods": FEW[1:2]}, "complete"),
        ({"plain_methods": (*FEW[1:], "dpro")}, "complete"),
        ({"learner": {"batch_size": 8}}, "stale"),
    ],
)
def test_is_stale_when_settings_change_and_missing_before(
    params: Params, timed: Path, tmp_path: Path, change: dict[str, Any], state: str
) -> None:
    altered = changed(params, **change)
    assert timing_state(altered, "smoke", "R+L2", timed) == state
    assert timing_state(altered, "smoke", "R+L2", tmp_path) == "missing"


def test_other_work_is_seen_and_own_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    Times = namedtuple("Times", ["user", "system", "idle", "iowait", "guest"])
    machine, own = Times(50.0, 11.0, 130.0, 7.0, 3.0), SimpleNamespace(user=32.0, system=4.0)
    monkeypatch.setattr("benchmark.training.timing.psutil.cpu_times", lambda: machine)
    monkeypatch.setattr("benchmark.training.timing.psutil.Process", lambda: SimpleNamespace(cpu_times=lambda: own))
    # Of 61 seconds this process had 36; a guest's are user time already.
    assert busy_seconds() == pytest.approx(61 - 36)
