"""Methods that do one thing wrong are caught by the check of that thing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmark.conformance import assert_conforms, method_runs
from benchmark.conformance.method_case import MethodCase, small_settings
from benchmark.conformance.suite import METHOD_CHECKS, METHOD_TASKS, check_plugin
from benchmark.conformance.tampering import restored
from benchmark.conformance.verdicts import Verdict, judge, name_of
from envs import UserError, make_task
from envs.constraints import Ball
from methods import base
from methods.base import Method
from tests.benchmark.conformance.methods import BROKEN, Learner, Silent, Slow
from tests.methods.learners import FLOW_METHODS, METHODS

CHECKS = {name_of(check): check for check in METHOD_CHECKS}


@pytest.fixture
def verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs one check of a class on a task."""

    def run(cls: type[Method], check: str, task_id: str = "R+L2") -> Verdict:
        monkeypatch.setattr(cls, "id", "plug-in", raising=False)
        monkeypatch.setitem(base._METHODS, "plug-in", cls)
        task = make_task(task_id)
        case = MethodCase("plug-in", task, small_settings("plug-in", {}), tmp_path)
        with restored(task.constraint):
            return judge(CHECKS[check], case, "plug-in", "method", task_id)

    return run


@pytest.mark.parametrize("check", CHECKS)
def test_a_right_one_passes(check: str, verdict) -> None:
    found = verdict(Learner, check)
    assert found.outcome == "pass", found.message


@pytest.mark.parametrize(("cls", "check"), BROKEN, ids=[f"{cls.__name__}-{check}" for cls, check in BROKEN])
def test_a_wrong_one_is_caught(cls: type[Learner], check: str, verdict) -> None:
    found = verdict(cls, check)
    assert found.outcome == "fail"
    assert "raised" not in found.message.split()[:1], found.message
    assert "\n" not in found.message


def test_a_slow_one_is_caught(verdict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method_runs, "SLOWEST", 0.02)
    assert verdict(Slow, "step-time").outcome == "fail"


def test_every_check_has_one_that_it_catches() -> None:
    assert {check for _, check in BROKEN} | {"step-time"} == set(CHECKS)


def test_a_method_without_losses_is_no_failure(verdict) -> None:
    found = verdict(Silent, "losses-finite")
    assert (found.outcome, found.message) == ("not applicable", "update returned no losses in 60 steps")


def test_what_was_replaced_is_put_back(verdict) -> None:
    before = Ball.__dict__.copy()
    for cls, check in BROKEN:
        if check == "constraint-untouched":
            verdict(cls, check)
            assert dict(Ball.__dict__) == before
    action = torch.ones((1, 2), dtype=torch.float64)
    assert not bool(make_task("R+L2").constraint.contains(action, torch.zeros((1, 10), dtype=torch.float64)).all())


@pytest.mark.slow
@pytest.mark.parametrize("task", METHOD_TASKS)
@pytest.mark.parametrize("method", METHODS)
def test_shipped_methods_conform(method: str, task: str) -> None:
    assert_conforms(method, [task])


def test_a_method_for_convex_sets_is_not_checked_on_others() -> None:
    assert {one.outcome for one in check_plugin("nfw", ["R+Ring"])} == {"not applicable"}


@pytest.mark.parametrize("method", METHODS)
def test_shipped_methods_are_checked_small(method: str) -> None:
    found = small_settings(method, {"batch_size": 5})
    assert found["hidden"] == [16, 16]
    assert found["batch_size"] == 5
    assert ("flow" in found) == (method in FLOW_METHODS)
    with pytest.raises(UserError, match="setting 'bath_size'"):
        small_settings(method, {"bath_size": 5})


def test_failures_are_listed_for_a_test(verdict) -> None:
    cls = BROKEN[0][0]
    verdict(cls, "act-shape")
    with pytest.raises(AssertionError, match=r"act-shape \(plug-in on R\+L2\): act of 1 observations has shape"):
        assert_conforms("plug-in", ["R+L2"])
