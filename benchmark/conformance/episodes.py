"""Observations of real episodes, under random feasible actions."""

from __future__ import annotations

import logging
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
                observation, _, terminated, truncated, _ = env.step(_action(task, obs, generator).numpy())
                if terminated or truncated:
                    break
    return torch.cat(rows[:count])


def _action(task: TaskSpec, obs: Tensor, generator: torch.Generator) -> Tensor:
    """A random feasible action (n,), or a uniform one of the box where the constraint gives none.

    That it does not is for the checks of its samples to say; the others go on.
    """
    constraint = task.constraint
    try:
        action = constraint.sample(obs, generator)[0]
        if action.shape == (constraint.dim,) and bool(action.isfinite().all()):
            return action
    except Exception as error:
        logging.getLogger(__name__).debug("sample() failed: %s", error)
    lower, upper = (torch.as_tensor(end) for end in (constraint.lower, constraint.upper))
    return lower + torch.rand(constraint.dim, generator=generator, dtype=torch.float64) * (upper - lower)
