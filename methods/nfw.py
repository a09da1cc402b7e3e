"""NFW: Neural Frank-Wolfe policy optimisation (NFWPO, Lin et al., UAI 2021, arXiv 2102.11055).

For each state of the batch, let a be the projected actor output and c = argmax over C(s) of <c, grad_a Q(s, a)>. The
actor regresses on a + alpha (c - a), a feasible point, so no gradient passes through a projection. As in both released
codes (NFWPO's and ACRL-bench's), the critic bootstraps from the target actor's raw output.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor
from torch.nn.functional import mse_loss

from methods.base import register_method
from methods.ddpg import DDPG, DDPGConfig
from methods.functional import Gradient, State
from methods.rowwise import rowwise


class NFWConfig(DDPGConfig):
    """Settings of NFW.

    Attributes:
        alpha: Frank-Wolfe step size.
    """

    alpha: float = Field(default=0.01, gt=0, le=1)


# Version 1 projected its target action; it is now `nfw-target`.
@register_method("nfw", version=2)
class NFW(DDPG[NFWConfig]):
    """DDPG whose actor regresses on a Frank-Wolfe step."""

    Config = NFWConfig
    needs_convex = "the step towards the linear oracle's answer leaves the set"

    def actor_loss(self, output: Tensor, state: State, obs: Tensor, gradient: Gradient) -> Tensor:
        """Mean squared distance to the Frank-Wolfe target, in scaled action units."""
        project, oracle = (rowwise(ask) for ask in (self.task.constraint.project, self.task.constraint.linear_oracle))
        asked = self.decode(output, obs)
        feasible = project(asked.detach(), obs)
        (uphill,), _ = gradient(lambda action: self.value(state["critic"], obs, action[0]).sum(), [feasible])
        target = feasible + self.config.alpha * (oracle(uphill, obs) - feasible)
        return mse_loss(asked / self.action_half, target / self.action_half)
