"""The suite: every check on a method, or on a task with its constraint and environment."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmark.conformance import (
    constraint_answers,
    constraint_sets,
    environments,
    method_actions,
    method_runs,
    method_state,
)
from benchmark.conformance.constraint_case import ConstraintCase
from benchmark.conformance.environments import EnvironmentCase
from benchmark.conformance.method_case import MethodCase, small_settings
from benchmark.conformance.plugins import find_plugins
from benchmark.conformance.tampering import restored
from benchmark.conformance.verdicts import Verdict, judge, name_of
from envs.errors import UserError
from envs.registry import make_task
from methods.base import method_class

METHOD_CHECKS = (*method_actions.CHECKS, *method_state.CHECKS, *method_runs.CHECKS)
CONSTRAINT_CHECKS = (*constraint_sets.CHECKS, *constraint_answers.CHECKS)
# Free of the state, dependent on it, with an equality.
METHOD_TASKS = ("R+L2", "HC+O", "BSS-3")


def check_plugin(
    name: str | Path | None, tasks: Sequence[str] = (), settings: Mapping[str, Any] | None = None
) -> Iterator[Verdict]:
    """Check what ``name`` stands for, verdict by verdict.

    Args:
        name: Id of a method or task, path of a Python file that registers some, or None for all there are.
        tasks: Tasks that methods are checked on; by default ``METHOD_TASKS``.
        settings: Settings of the method that differ from the suite's small ones.

    Raises:
        UserError: If an id, a file or a setting is bad.
    """
    torch.set_num_threads(1)
    found = find_plugins(name)
    if (tasks or settings) and not found.methods:
        raise UserError(f"--task and --set are for checking a method, and '{name}' is a task: leave them out")
    # Settings are looked at before the first check runs.
    small = {method: small_settings(method, settings or {}) for method in found.methods}
    chosen = [make_task(task).id for task in tasks or METHOD_TASKS]
    for task in found.tasks:
        yield from check_task(task)
    for method in found.methods:
        for task in chosen:
            yield from check_method(method, task, small[method])


def check_task(task_id: str) -> Iterator[Verdict]:
    """Every check of a task: of its constraint, then of its environment."""
    task = make_task(task_id)
    asked = ConstraintCase(dataclasses.replace(task, constraint=copy.deepcopy(task.constraint)))
    for check in CONSTRAINT_CHECKS:
        yield judge(check, asked, task_id, "constraint", task_id)
    for question in environments.CHECKS:
        yield judge(question, EnvironmentCase(task), task_id, "environment", task_id)


def check_method(method_id: str, task_id: str, settings: dict[str, Any]) -> Iterator[Verdict]:
    """Every check of a method on one task."""
    task, needs_convex = make_task(task_id), method_class(method_id).needs_convex
    if needs_convex and not task.constraint.convex:
        for check in METHOD_CHECKS:
            yield Verdict(
                subject=method_id,
                kind="method",
                task=task_id,
                check=name_of(check),
                outcome="not applicable",
                message=f"the set is not convex: {needs_convex}",
                seconds=0.0,
            )
        return
    with tempfile.TemporaryDirectory() as folder:
        case = MethodCase(method_id, task, settings, Path(folder))
        for check in METHOD_CHECKS:
            with restored(task.constraint):
                verdict = judge(check, case, method_id, "method", task_id)
            yield verdict


def assert_conforms(name: str | Path, tasks: Sequence[str] = ()) -> None:
    """Every check on a method, a task, or what a file registers: for a test.

    Raises:
        AssertionError: If one fails; the message names all that do.
        UserError: As :func:`check_plugin`.
    """
    failed = [one for one in check_plugin(name, tasks) if one.outcome == "fail"]
    lines = [f"{one.check} ({one.subject} on {one.task}): {one.message}" for one in failed]
    if lines:
        raise AssertionError("\n".join(lines))
