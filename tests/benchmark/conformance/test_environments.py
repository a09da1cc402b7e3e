"""Environments that do one thing wrong, else Reacher, are caught by the check of that thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

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


def reseeding(seed_of: Callable[[int], int]) -> Any:
    """A ``reset`` that takes another seed for the one that it is given."""

    def reset(self: ReacherEnv, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return ReacherEnv.reset(self, seed=None if seed is None else seed_of(seed), options=options)

    return reset


def wider(self: ReacherEnv, **arguments: Any) -> None:
    ReacherEnv.__init__(self, **arguments)
    self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)


def nan_later(self: ReacherEnv, action: Any) -> Any:
    observation, *rest = ReacherEnv.step(self, action)
    return (np.where(np.abs(observation) > 1, np.nan, observation), *rest)


def in_one_array(self: ReacherEnv, action: Any) -> Any:
    observation, *rest = ReacherEnv.step(self, action)
    self.shared = getattr(self, "shared", observation)
    self.shared[:] = observation
    return (self.shared, *rest)


def weaker(self: ReacherEnv, action: Any) -> Any:
    action += 0.01
    return ReacherEnv.step(self, action)


def noisy(self: ReacherEnv, action: Any) -> Any:
    return ReacherEnv.step(self, action + np.random.normal())  # noqa: NPY002


def fails_later(self: ReacherEnv, action: Any) -> Any:
    assert self.data.time == 0, "a second step"
    return ReacherEnv.step(self, action)


class WithoutLimit(TaskSpec):
    """Makes its environment past ``gymnasium.make``."""

    def make_env(self, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        del kwargs
        return ReacherEnv()


TASK = replace(make_task("R+L2"), id="faulty")


def wrong(**members: Any) -> TaskSpec:
    """The task with these members in place of its environment's own."""
    environment: Any = type("Faulty", (ReacherEnv,), members)
    return replace(TASK, entry_point=environment)


# Checks, and tasks that they are meant for.
FAULTS: list[tuple[str, TaskSpec]] = [
    ("test_same_seed", wrong(reset=reseeding(lambda _: int(np.random.SeedSequence().generate_state(1)[0])))),
    ("test_different_seeds", wrong(reset=reseeding(lambda _: 0))),
    ("test_global_generators_untouched", wrong(step=noisy)),
    ("test_action_box", wrong(__init__=wider)),
    ("test_arrays_not_shared", wrong(step=in_one_array)),
    ("test_arrays_not_shared", wrong(step=weaker)),
    ("test_observations_finite", wrong(step=nan_later)),
    ("test_gymnasium_checker", wrong(reset=lambda *args, **kwargs: ReacherEnv.reset(*args, **kwargs)[0])),
    ("test_method_applies", wrong(step=fails_later)),
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
