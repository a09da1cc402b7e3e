"""Environments that do one thing wrong, else Reacher, are caught by the check of that thing."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.mujoco.reacher_v5 import ReacherEnv

from benchmark.conformance import test_environments
from envs import TaskSpec, UserError, make_task, register_task
from envs.constraints import Ball, WeightedL1
from tests.benchmark.conformance.checks import checks_of

CHECKS = checks_of(test_environments)


class Faulty(ReacherEnv):
    # The check that is meant for what a subclass does wrong.
    caught_by: ClassVar[str]


class Unseeded(Faulty):
    caught_by = "test_same_seed"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=None if seed is None else np.random.SeedSequence().entropy % 2**32, options=options)


class SeedIgnored(Faulty):
    caught_by = "test_different_seeds"

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return super().reset(seed=0 if seed is None else seed * 0, options=options)


class GlobalNumpy(Faulty):
    caught_by = "test_global_generators_untouched"

    def step(self, action: Any) -> Any:
        return super().step(action + np.random.normal())  # noqa: NPY002


class OtherBox(Faulty):
    caught_by = "test_action_box"

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)


class NanLater(Faulty):
    caught_by = "test_observations_finite"

    def step(self, action: Any) -> Any:
        observation, *rest = super().step(action)
        return (np.where(np.abs(observation) > 1, np.nan, observation), *rest)


class ResetGivesNoInfo(Faulty):
    caught_by = "test_gymnasium_checker"

    def reset(self, **arguments: Any) -> Any:
        return super().reset(**arguments)[0]


class FailsLater(Faulty):
    caught_by = "test_method_applies"

    def step(self, action: Any) -> Any:
        assert self.data.time == 0, "a second step"
        return super().step(action)


class WithoutLimit(TaskSpec):
    """Makes its environment past ``gymnasium.make``."""

    def make_env(self, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        del kwargs
        return ReacherEnv()


TASK = replace(make_task("R+L2"), id="faulty")
# Checks, and tasks that they are meant for.
FAULTS: list[tuple[str, TaskSpec]] = [
    *((cls.caught_by, replace(TASK, entry_point=f"{__name__}:{cls.__name__}")) for cls in Faulty.__subclasses__()),
    ("test_action_box", replace(TASK, constraint=Ball(0.05, -np.ones(3), np.ones(3)))),
    ("test_context_in_observation", replace(TASK, constraint=WeightedL1(1.0, -np.ones(2), np.ones(2), (1, 99)))),
    ("test_episodes_end", replace(TASK, max_episode_steps=None)),  # type: ignore[arg-type]
    ("test_episodes_end", WithoutLimit(**{field.name: getattr(TASK, field.name) for field in fields(TASK)})),
    ("test_fingerprint_plain", replace(TASK, env_kwargs={"function": print})),
]


@pytest.mark.usefixtures("registries")
@pytest.mark.parametrize(("check", "task"), FAULTS)
def test_a_wrong_one_is_caught(check: str, task: TaskSpec, tmp_path: Path) -> None:
    tried = {"method": "random-feasible", "tmp_path": tmp_path} if check == "test_method_applies" else {}
    with pytest.raises((AssertionError, UserError)):
        CHECKS[check](register_task(task), **tried)


def test_every_check_has_one_that_it_catches() -> None:
    assert {check for check, _ in FAULTS} == set(CHECKS)
