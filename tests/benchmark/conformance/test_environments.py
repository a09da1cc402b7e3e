"""Environments that do one thing wrong are caught by the check of that thing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from gymnasium.envs import registration

from benchmark.conformance import environments as checks
from benchmark.conformance.verdicts import Verdict, judge, name_of
from envs import TaskSpec, list_tasks, make_task, register_task, registry
from envs.constraints import Ball, WeightedL1
from tests.benchmark.conformance import environments as plugins

CHECKS = {name_of(check): check for check in checks.CHECKS}
DRIFT = TaskSpec(
    id="drift",
    version=0,
    env_id="Drift",
    entry_point="tests.benchmark.conformance.environments:Drift",
    constraint=Ball(0.05, -np.ones(2), np.ones(2)),
    steps=1000,
    max_episode_steps=30,
    source="tests",
    notes="",
)

BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("same-seed", {"entry_point": plugins.Unseeded}),
    ("different-seeds", {"entry_point": plugins.SeedIgnored}),
    ("global-generators", {"entry_point": plugins.GlobalNumpy}),
    ("action-box", {"entry_point": plugins.OtherBox}),
    ("action-box", {"constraint": Ball(0.05, -np.ones(3), np.ones(3))}),
    ("observations-finite", {"entry_point": plugins.NanLater}),
    ("gymnasium-checker", {"entry_point": plugins.ResetGivesNoInfo}),
    ("context-in-observation", {"constraint": WeightedL1(1.0, -np.ones(2), np.ones(2), (1, 2))}),
    ("episodes-end", {"max_episode_steps": None}),
    ("episodes-end", {"cls": plugins.WithoutLimit}),
    ("fingerprint-plain", {"env_kwargs": {"function": print}}),
]


@pytest.fixture
def verdict(monkeypatch: pytest.MonkeyPatch):
    """Runs one check of a task of this environment."""

    def run(check: str, entry_point: type = plugins.Drift, cls: type[TaskSpec] = TaskSpec, **changes: Any) -> Verdict:
        place = f"{entry_point.__module__}:{entry_point.__name__}"
        fields = {field.name: getattr(DRIFT, field.name) for field in dataclasses.fields(DRIFT)}
        task = cls(**{**fields, "entry_point": place, **changes})
        monkeypatch.setattr(registry, "_TASKS", dict(registry._TASKS))
        monkeypatch.setattr(registration, "registry", dict(registration.registry))
        register_task(task)
        return judge(CHECKS[check], checks.EnvironmentCase(task), task.id, "environment", task.id)

    return run


@pytest.mark.parametrize("check", CHECKS)
def test_a_right_one_passes(check: str, verdict) -> None:
    found = verdict(check)
    assert found.outcome == "pass", found.message


@pytest.mark.parametrize(("check", "changes"), BROKEN)
def test_a_wrong_one_is_caught(check: str, changes: dict[str, Any], verdict) -> None:
    found = verdict(check, **changes)
    assert found.outcome == "fail"
    assert found.message


def test_every_check_has_one_that_it_catches() -> None:
    assert {check for check, _ in BROKEN} == set(CHECKS)


@pytest.mark.parametrize("task", list_tasks())
def test_shipped_environments_conform(task: str) -> None:
    case = checks.EnvironmentCase(make_task(task))
    verdicts = [judge(check, case, task, "environment", task) for check in checks.CHECKS]
    assert [one.message for one in verdicts if one.outcome != "pass"] == []
