"""Checks of a task's environment, and of the row that describes it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

from benchmark.conformance.randomness import undisturbed
from benchmark.conformance.verdicts import Check, require
from envs.registry import TaskSpec

STEPS = 40


@dataclass(frozen=True)
class EnvironmentCase:
    """A task whose environment is asked."""

    task: TaskSpec

    def make(self) -> Any:
        """A fresh environment, as the harness makes it."""
        return self.task.make_env(disable_env_checker=True)

    def episode(self, seed: int, steps: int = STEPS) -> tuple[list[NDArray[np.float64]], bool]:
        """Observations and rewards in turn, and whether the episode ended.

        Actions are uniform on the action box, the same ones whatever the seed.
        """
        constraint, generator = self.task.constraint, np.random.default_rng(0)
        with closing(self.make()) as env:
            observation, _ = env.reset(seed=seed)
            rows = [np.array(observation, dtype=np.float64)]
            for _ in range(steps):
                action = generator.uniform(constraint.lower, constraint.upper).astype(np.float32)
                observation, reward, terminated, truncated, _ = env.step(action)
                rows += [np.array([float(reward)]), np.array(observation, dtype=np.float64)]
                if terminated or truncated:
                    return rows, True
        return rows, False


def gymnasium_checker(case: EnvironmentCase) -> str:
    """Gymnasium's own checker accepts the environment."""
    with closing(case.make()) as env:
        check_env(env.unwrapped, skip_render_check=True)
    return ""


def action_box(case: EnvironmentCase) -> str:
    """The constraint's action box is the environment's action space."""
    with closing(case.make()) as env:
        space = env.action_space
    require(isinstance(space, Box), f"the action space is {space}; only a Box of real numbers has a constraint here")
    constraint = case.task.constraint
    found = f"[{space.low.tolist()}, {space.high.tolist()}]"
    wanted = f"[{constraint.lower.tolist()}, {constraint.upper.tolist()}]"
    same = space.shape == (constraint.dim,) and all(
        np.allclose(end, own, rtol=1e-6) for end, own in ((space.low, constraint.lower), (space.high, constraint.upper))
    )
    require(same, f"the constraint's box is {wanted}, the environment's {found}; give the constraint the latter")
    return ""


def same_seed(case: EnvironmentCase) -> str:
    """The same seed gives the same episode, to the bit."""
    first, again = case.episode(7)[0], case.episode(7)[0]
    same = len(first) == len(again) and all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    require(same, "two episodes of one seed differ; draw from self.np_random after super().reset(seed=seed)")
    return ""


def different_seeds(case: EnvironmentCase) -> str:
    """Another seed gives another episode."""
    first, other = (np.concatenate(case.episode(seed)[0]) for seed in (7, 8))
    same = first.shape == other.shape and bool((first == other).all())
    require(not same, "episodes of two seeds are the same; draw from self.np_random after super().reset(seed=seed)")
    return ""


def global_generators(case: EnvironmentCase) -> str:
    """No global random generator is used."""
    with undisturbed("the environment"):
        case.episode(7)
    return ""


def observations_finite(case: EnvironmentCase) -> str:
    """Observations are flat, finite, and in the observation space."""
    with closing(case.make()) as env:
        shape = env.observation_space.shape
    require(shape is not None and len(shape) == 1, f"observations have shape {shape}; wrap them to be flat, (o,)")
    for row in case.episode(7)[0][::2]:
        require(bool(np.isfinite(row).all()), f"an observation holds NaN or infinity: {row.tolist()}")
    return ""


def context_in_observation(case: EnvironmentCase) -> str:
    """The entries that the constraint reads are entries of the observation."""
    with closing(case.make()) as env:
        length = env.reset(seed=0)[0].shape[0]
    outside = [index for index in case.task.constraint.context_indices if not 0 <= index < length]
    require(not outside, f"context_indices {outside} are outside of the observation, which has {length} entries")
    return ""


def episodes_end(case: EnvironmentCase) -> str:
    """An episode ends by ``max_episode_steps``."""
    limit: Any = case.task.max_episode_steps
    require(isinstance(limit, int) and limit > 0, f"max_episode_steps is {limit}; give a number of steps")
    rows, ended = case.episode(7, limit)
    require(ended, f"an episode goes on after max_episode_steps = {limit}; let gymnasium.make() limit it")
    return f"after {len(rows) // 2} steps"


def fingerprint_plain(case: EnvironmentCase) -> str:
    """The task's fingerprint is plain data, the same each time: it is part of every result's key."""
    first, again = (json.dumps(case.task.fingerprint(), sort_keys=True) for _ in range(2))
    require(first == again, "fingerprint() differs from call to call; keep parameters in attributes that do not change")
    return ""


CHECKS: tuple[Check[EnvironmentCase], ...] = (
    gymnasium_checker,
    action_box,
    same_seed,
    different_seeds,
    global_generators,
    observations_finite,
    context_in_observation,
    episodes_end,
    fingerprint_plain,
)
