"""Environments that do one thing wrong are caught by the check of that thing."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from numpy.typing import NDArray

from benchmark.conformance import test_environments
from envs import TaskSpec, UserError, register_task
from envs.constraints import Ball, WeightedL1
from tests.benchmark.conformance.checks import checks_of

CHECKS = checks_of(test_environments)
Floats = NDArray[np.float64]


class Drift(gymnasium.Env[Floats, Floats]):
    """A point in the plane that noise and the action move.

    Attributes:
        caught_by: The check that is meant for what a subclass does wrong.
    """

    caught_by: ClassVar[str]

    def __init__(self) -> None:
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.place = np.zeros(2)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.place = self.draw()
        return self.place.copy(), {}

    def step(self, action: Any) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        self.place = self.place + np.asarray(action, dtype=np.float64) + self.draw()
        return self.place.copy(), -float(np.abs(self.place).sum()), False, False, {}

    def draw(self) -> Floats:
        return np.asarray(self.np_random.normal(size=2))


class Unseeded(Drift):
    caught_by = "test_same_seed"

    def draw(self) -> Floats:
        return np.random.default_rng().normal(size=2)


class SeedIgnored(Drift):
    caught_by = "test_different_seeds"

    def draw(self) -> Floats:
        return np.full(2, 0.1)


class GlobalNumpy(Drift):
    caught_by = "test_global_generators_untouched"

    def draw(self) -> Floats:
        return np.random.normal(size=2)  # noqa: NPY002


class OtherBox(Drift):
    caught_by = "test_action_box"

    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)


class NanLater(Drift):
    caught_by = "test_observations_finite"

    def step(self, action: Any) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        observation, *rest = super().step(action)
        return (observation + (np.nan if abs(observation[0]) > 1 else 0), *rest)  # type: ignore[return-value]


class ResetGivesNoInfo(Drift):
    caught_by = "test_gymnasium_checker"

    def reset(self, **arguments: Any) -> Any:
        return super().reset(**arguments)[0]


class WithoutLimit(TaskSpec):
    """Makes its environment past ``gymnasium.make``."""

    def make_env(self, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        del kwargs
        return Drift()


DRIFT = TaskSpec(
    id="drift",
    version=0,
    env_id="Drift",
    entry_point=f"{__name__}:Drift",
    constraint=Ball(0.05, -np.ones(2), np.ones(2)),
    steps=1000,
    max_episode_steps=30,
    source="tests",
    notes="",
)
# Checks, and tasks that they are meant for.
FAULTS: list[tuple[str, TaskSpec]] = [
    *((cls.caught_by, replace(DRIFT, entry_point=f"{__name__}:{cls.__name__}")) for cls in Drift.__subclasses__()),
    ("test_action_box", replace(DRIFT, constraint=Ball(0.05, -np.ones(3), np.ones(3)))),
    ("test_context_in_observation", replace(DRIFT, constraint=WeightedL1(1.0, -np.ones(2), np.ones(2), (1, 2)))),
    ("test_episodes_end", replace(DRIFT, max_episode_steps=None)),
    ("test_episodes_end", WithoutLimit(**{field.name: getattr(DRIFT, field.name) for field in fields(DRIFT)})),
    ("test_fingerprint_plain", replace(DRIFT, env_kwargs={"function": print})),
]

pytestmark = [pytest.mark.usefixtures("registries"), pytest.mark.filterwarnings("ignore:.*Box observation space")]


@pytest.mark.parametrize("check", CHECKS)
def test_a_right_one_passes(check: str) -> None:
    CHECKS[check](register_task(DRIFT))


@pytest.mark.parametrize(("check", "task"), FAULTS)
def test_a_wrong_one_is_caught(check: str, task: TaskSpec) -> None:
    with pytest.raises((AssertionError, UserError)):
        CHECKS[check](register_task(task))


def test_every_check_has_one_that_it_catches() -> None:
    assert {check for check, _ in FAULTS} == set(CHECKS)
