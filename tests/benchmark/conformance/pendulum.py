"""A task as docs/add-a-task.md writes one: a pendulum whose torque limit falls with its speed, |a| <= most - slope |w|.

It has one action coordinate, the base class's answers, and no feasible action at speeds that are twice those reached.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from envs import Constraint, TaskSpec, register_task
from envs.constraints.solver import derived

# Where Pendulum-v1 observes its speed w, which is at most 8.
SPEED = 2


class TorqueLimit(Constraint):
    """|a| <= most - slope |w|, within the action box [-2, 2]."""

    def __init__(self, most: float, slope: float) -> None:
        super().__init__(lower=[-2.0], upper=[2.0], context_indices=(SPEED,))
        self.most, self.slope = most, slope

    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        """Signed values (B, 2): over the limit, then over the box."""
        self.check(action, obs)
        return torch.cat(
            [action.abs() - self.most + self.slope * self.context(obs).abs(), self.box_violation(action)], 1
        )

    def cvxpy_constraints(self, x: Any, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        import cvxpy as cp

        limit = derived(obs_row, lambda obs: self.most - self.slope * abs(obs[SPEED : SPEED + 1]))
        return [cp.abs(x) <= limit, x >= self.lower, x <= self.upper]


register_task(
    TaskSpec(
        id="Pendulum+Limit",
        version=0,
        env_id="Pendulum-v1",
        entry_point="gymnasium.envs.classic_control.pendulum:PendulumEnv",
        constraint=TorqueLimit(most=2.0, slope=0.22),
        steps=100_000,
        max_episode_steps=200,
        source="a test",
        notes="",
    )
)
