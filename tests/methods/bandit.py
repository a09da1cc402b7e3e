"""The simplest task that there is something to learn in."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import gymnasium
import numpy as np
import torch

from envs import make_task
from envs.constraints import Box
from envs.registry import TaskSpec
from methods.base import Method, Transition


class Bandit(gymnasium.Env[Any, Any]):
    """One step an episode; the best action is half the observation."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.state = self.np_random.uniform(-1, 1, 2)
        return self.state, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.state.copy(), -float(((action - self.state / 2) ** 2).sum()), True, False, {}


def bandit_task() -> TaskSpec:
    """The bandit, without a constraint."""
    box = -np.ones(2), np.ones(2)
    changes = {"id": "Bandit", "env_id": "Bandit", "entry_point": f"{__name__}:Bandit", "constraint": Box(*box)}
    assert __name__ in sys.modules
    return dataclasses.replace(make_task("R+L2"), max_episode_steps=1, env_kwargs={}, **changes)


def error_after(learner: Method[Any], steps: int) -> float:
    """Mean squared error of the policy after so many steps; doing nothing costs 1/6, random actions 5/6."""
    env = learner.task.make_env()
    obs = torch.as_tensor(env.reset(seed=1)[0])[None]
    for _ in range(steps):
        behaviour = learner.act(obs, explore=True).double()
        action = learner.task.constraint.project(behaviour, obs)
        _, reward, *_ = env.step(action[0].numpy())
        learner.observe(Transition(obs, behaviour, action, float(reward), obs, terminated=True, truncated=False))
        learner.update()
        obs = torch.as_tensor(env.reset()[0])[None]
    env.close()
    states = 2 * torch.rand((500, 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    return float((learner.act(states, explore=False) - states / 2).square().sum(dim=1).mean())
