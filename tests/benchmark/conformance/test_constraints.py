"""Constraints that do one thing wrong are caught by the check of that thing; every shipped family passes all."""

from __future__ import annotations

import dataclasses

import pytest

from benchmark.conformance.constraint_case import ConstraintCase
from benchmark.conformance.suite import CONSTRAINT_CHECKS, assert_conforms
from benchmark.conformance.verdicts import Verdict, judge, name_of
from envs import Constraint, list_tasks, make_task
from tests.benchmark.conformance.constraints import BROKEN, Right, RightByDefault

CHECKS = {name_of(check): check for check in CONSTRAINT_CHECKS}
# One of every family, BSS-3 and R+Ring for what is not full and what is not convex.
FAMILIES = ("R+L2", "HC+O", "H+M", "BSS-3", "R+N", "R+T", "HC+MA", "H+O+S", "R+Ring", "R+2D")


def verdict(constraint: Constraint, check: str) -> Verdict:
    task = dataclasses.replace(make_task("R+O03"), constraint=constraint)
    return judge(CHECKS[check], ConstraintCase(task), task.id, "constraint", task.id)


@pytest.mark.parametrize("cls", [Right, RightByDefault])
@pytest.mark.parametrize("check", CHECKS)
def test_a_right_one_passes(check: str, cls: type[Right | RightByDefault]) -> None:
    found = verdict(cls(), check)
    assert found.outcome == "pass", found.message


@pytest.mark.parametrize(("cls", "check"), BROKEN, ids=[f"{cls.__name__}-{check}" for cls, check in BROKEN])
def test_a_wrong_one_is_caught(cls: type[Right], check: str) -> None:
    found = verdict(cls(), check)
    assert found.outcome == "fail"
    assert "raised" not in found.message.split()[:1], found.message


def test_every_check_has_one_that_it_catches() -> None:
    assert {check for _, check in BROKEN} == set(CHECKS)


def test_the_families_are_all_there_are() -> None:
    assert {type(make_task(task).constraint) for task in FAMILIES} == {
        type(make_task(task).constraint) for task in list_tasks()
    }


@pytest.mark.slow
@pytest.mark.parametrize("task", FAMILIES)
def test_shipped_families_conform(task: str) -> None:
    assert_conforms(task)
