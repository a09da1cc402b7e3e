"""NFW: Neural Frank-Wolfe policy optimisation (NFWPO, Lin et al., UAI 2021, arXiv 2102.11055).

No gradient passes through a projection. For each state of the batch, with a the projected actor output:
c = argmax over C(s) of <c, grad_a Q(s, a)>, and the actor regresses on a + alpha (c - a), a feasible point. As in both
released codes (NFWPO's and ACRL-bench's) the critic bootstraps from the target actor's raw output.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from methods.base import register_method
from methods.ddpg import DDPG, DDPGConfig


class NFWConfig(DDPGConfig):
    """Settings of NFW.

    Attributes:
        alpha: Step size of Frank-Wolfe.
    """

    alpha: float = Field(default=0.01, gt=0, le=1)


# Version 1 projected its target action, and is `nfw-target` today.
@register_method("nfw", version=2)
class NFW(DDPG[NFWConfig]):
    """DDPG whose actor regresses on a Frank-Wolfe step."""

    Config = NFWConfig
    needs_convex = "the way to the support point leaves the set"

    def actor_loss(self, obs: Tensor) -> Tensor:
        """Mean squared distance to the Frank-Wolfe target, in scaled action units."""
        constraint = self.task.constraint
        output = self.policy(obs)
        feasible = constraint.project(output.detach(), obs).requires_grad_()
        value = self.q_value(self.critic, obs, feasible).sum()
        (gradient,) = torch.autograd.grad(value, feasible)
        feasible = feasible.detach()
        target = feasible + self.config.alpha * (constraint.linear_oracle(gradient, obs) - feasible)
        return nn.functional.mse_loss(output / self.action_half, target / self.action_half)
