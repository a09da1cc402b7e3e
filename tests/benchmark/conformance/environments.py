"""A small environment that does everything right, and others that each do one thing wrong."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.registry import TaskSpec

Floats = NDArray[np.float64]


class Drift(gymnasium.Env[Floats, Floats]):
    """A point in the plane that noise and the action move."""

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
    def draw(self) -> Floats:
        return np.random.default_rng().normal(size=2)


class SeedIgnored(Drift):
    def draw(self) -> Floats:
        return np.full(2, 0.1)


class GlobalNumpy(Drift):
    def draw(self) -> Floats:
        return np.random.normal(size=2)  # noqa: NPY002


class OtherBox(Drift):
    def __init__(self) -> None:
        super().__init__()
        self.action_space = spaces.Box(-2.0, 2.0, (2,), np.float32)


class NanLater(Drift):
    def step(self, action: Any) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        observation, *rest = super().step(action)
        return (observation + (np.nan if abs(observation[0]) > 1 else 0), *rest)  # type: ignore[return-value]


class ResetGivesNoInfo(Drift):
    def reset(self, **arguments: Any) -> Any:
        return super().reset(**arguments)[0]


class WithoutLimit(TaskSpec):
    """Makes its environment past ``gymnasium.make``."""

    def make_env(self, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        del kwargs
        return Drift()
