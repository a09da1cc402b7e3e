"""Episodes of a task's environment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.registry import TaskSpec

Policy = Callable[[NDArray[np.float64]], NDArray[Any]]


class Rollout(NamedTuple):
    """Observations (N, o), one at each reset and step, rewards, and the step at which the first episode ended."""

    observations: NDArray[np.float64]
    rewards: NDArray[np.float64]
    ended: int | None

    def same_as(self, other: Rollout) -> bool:
        """Whether both are the same to the bit."""
        return all(map(np.array_equal, self[:2], other[:2]))


def rollout(task: TaskSpec, seed: int, steps: int = 60, policy: Policy | None = None) -> Rollout:
    """So many steps, over several episodes if need be.

    Args:
        task: Whose environment.
        seed: Of the first episode; the others go on from it.
        steps: How many.
        policy: Gives an action (n,) at an observation (o,); by default one uniform on the box, the same for every seed.
    """
    constraint, generator, ended = task.constraint, np.random.default_rng(0), None
    policy = policy or (lambda _: generator.uniform(constraint.lower, constraint.upper).astype(np.float32))
    with closing(task.make_env(disable_env_checker=True)) as env:
        observations, rewards = [env.reset(seed=seed)[0]], []
        for step in range(1, steps + 1):
            observation, reward, terminated, truncated, _ = env.step(policy(observations[-1]))
            observations.append(observation)
            rewards.append(float(reward))
            if terminated or truncated:
                ended = ended or step
                observations.append(env.reset()[0])
    return Rollout(np.array(observations, dtype=np.float64), np.array(rewards), ended)
