"""Evaluation of a policy, off the clock: episodes without noise, with infeasible actions repaired exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch

from benchmark.records.results import Evaluation
from envs.errors import MethodFailedError, RunFailedError
from envs.registry import TaskSpec
from methods.base import Method

OnActions = Callable[[torch.Tensor, torch.Tensor], None]


class Evaluator:
    """Runs episodes of the policy side by side, with one batch of actions per step."""

    def __init__(self, task: TaskSpec) -> None:
        self._task = task
        self._envs: list[gymnasium.Env[Any, Any]] = []

    def evaluate(
        self, method: Method[Any], step: int, seeds: Sequence[int], on_actions: OnActions | None = None
    ) -> Evaluation:
        """Run one episode per seed: undiscounted returns of the policy after ``step`` training steps.

        ``on_actions`` is called with every raw action (B, n) and observation (B, o).

        Raises:
            RunFailedError: If an action, an observation, a reward or the mean return is not finite.
        """
        while len(self._envs) < len(seeds):
            self._envs.append(self._task.make_env(disable_env_checker=True))
        rows = [env.reset(seed=seed)[0] for env, seed in zip(self._envs, seeds, strict=False)]
        obs = self._task.observed(np.stack(rows))
        returns = [0.0] * len(seeds)
        running = list(range(len(seeds)))
        while running:
            actions = self._actions(method, obs[running], on_actions)
            for index, action in zip(tuple(running), actions, strict=True):
                observation, reward, terminated, truncated, _ = self._envs[index].step(action.numpy().copy())
                obs[index] = self._task.observed(observation, reward)
                returns[index] += float(reward)
                if terminated or truncated:
                    running.remove(index)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(np.mean(returns))
        if not math.isfinite(mean):
            raise RunFailedError(f"the environment of task '{self._task.id}' returned rewards that add up to {mean}")
        return Evaluation(step=step, mean=mean, episodes=returns)

    def _actions(self, method: Method[Any], obs: torch.Tensor, on_actions: OnActions | None) -> torch.Tensor:
        action = method.act(obs, explore=False)
        check_action(method, action, len(obs))
        if on_actions is not None:
            on_actions(action.double(), obs)
        repaired = self._task.constraint.repair(action.double(), obs)
        if not bool(repaired.isfinite().all()):
            raise RunFailedError(f"the projection of task '{self._task.id}' returned an action with NaN or infinity")
        return repaired

    def close(self) -> None:
        """Close all environments."""
        for env in self._envs:
            env.close()


def check_action(method: Method[Any], action: torch.Tensor, rows: int) -> None:
    """Check that a method's actions can be judged.

    Raises:
        MethodFailedError: If the shape is not (rows, n), or an entry is NaN or infinite.
    """
    expected = (rows, method.task.constraint.dim)
    if tuple(action.shape) != expected:
        raise MethodFailedError(
            f"method '{method.id}' returned an action of shape {tuple(action.shape)}, not {expected}"
        )
    if not bool(action.isfinite().all()):
        raise MethodFailedError(f"method '{method.id}' returned an action with NaN or infinity; its training diverged")
