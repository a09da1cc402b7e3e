"""Environments that observe the previous action, so that a constraint can limit its change."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class PreviousAction(gymnasium.Wrapper[Floats, Any, Floats, Any], RecordConstructorArgs):
    """Append the previous action to the observation; zeros after a reset.

    An action outside the action space is observed as the nearest one inside, as for actuators with such limits.

    Args:
        env: Environment with flat observations and bounded real-valued actions.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        observed, acted = env.observation_space, env.action_space
        assert isinstance(observed, spaces.Box)
        assert isinstance(acted, spaces.Box)
        self._lower, self._upper = acted.low.astype(np.float64), acted.high.astype(np.float64)
        ends = ((observed.low, self._lower), (observed.high, self._upper))
        low, high = (np.concatenate(pair, dtype=np.float64) for pair in ends)
        self.observation_space = spaces.Box(low, high, dtype=np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Start an episode, with zeros as previous action."""
        observation, info = self.env.reset(seed=seed, options=options)
        return np.concatenate([observation, np.zeros_like(self._lower)]), info

    def step(self, action: Any) -> tuple[Floats, Any, bool, bool, dict[str, Any]]:
        """Act, and append the action to the observation."""
        observation, *others = self.env.step(action)
        executed = np.clip(np.asarray(action, dtype=np.float64), self._lower, self._upper)
        return np.concatenate([observation, executed]), *others  # type: ignore[return-value]


def make_env(env_id: str, **kwargs: Any) -> PreviousAction:
    """Make the environment with this Gymnasium id, without its time limit, in :class:`PreviousAction`."""
    return PreviousAction(gymnasium.make(env_id, **kwargs).unwrapped)
