"""DDPG through a projection layer: the actor ends in the exact projection, and learns through it.

The policy gradient of OptLayer (Pham et al., 2018, arXiv 1709.07643), which FlowPG's claim of "no zero gradient" is
about: where the actor's output lies outside C(s), what points out of the set is cut off.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from envs.errors import UserError
from envs.registry import TaskSpec
from methods.base import register_method
from methods.ddpg import DDPG, DDPGConfig


@register_method("ddpg-projection-layer", version=1)
class DDPGProjectionLayer(DDPG[DDPGConfig]):
    """DDPG whose policy is the projected output of the actor, in training's gradient and targets too."""

    def __init__(self, task: TaskSpec, config: DDPGConfig, seed: int) -> None:
        super().__init__(task, config, seed)
        env = task.make_env()
        obs = torch.as_tensor(env.reset(seed=0)[0], dtype=torch.float64)[None]
        env.close()
        action = torch.zeros((1, task.constraint.dim), dtype=torch.float64, requires_grad=True)
        # Asked of a copy: the method's calls are counted, and this is none of its learning.
        if not copy.deepcopy(task.constraint).project(action, obs).requires_grad:
            why = "has no gradient: write one for its constraint in torch operations, or inherit from ExactConstraint"
            raise UserError(f"'{self.id}' does not apply to {task.id}, whose projection {why}")

    def decode(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`DDPG.decode`; in double precision, in which a gradient that is cut off comes out as 0."""
        return self.task.constraint.project(super().decode(output, obs).double(), obs.double())
