"""Observations of real episodes, under random feasible actions."""

from __future__ import annotations

from contextlib import closing

import torch
from torch import Tensor

from envs.registry import TaskSpec
from envs.seeding import derive_seed, make_generator

# Short, so that starts and later states are both among few observations.
EPISODE = 40


def observations(task: TaskSpec, count: int, seed: int) -> Tensor:
    """Observations (count, o), float64, along episodes of the task's environment.

    Args:
        task: Whose environment and constraint.
        count: Rows.
        seed: Source of all randomness.
    """
    generator = make_generator(seed, "conformance", "actions")
    rows: list[Tensor] = []
    with closing(task.make_env(disable_env_checker=True)) as env:
        while len(rows) < count:
            observation, _ = env.reset(seed=derive_seed(seed, "conformance", len(rows)))
            for _ in range(EPISODE):
                obs = torch.as_tensor(observation, dtype=torch.float64)[None]
                rows.append(obs)
                action = task.constraint.sample(obs, generator)
                observation, _, terminated, truncated, _ = env.step(action[0].numpy())
                if terminated or truncated:
                    break
    return torch.cat(rows[:count])
