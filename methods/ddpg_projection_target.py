"""DDPG+projection with a projected target: the critic bootstraps from a feasible action.

The released codes bootstrap from the target actor's raw output, which is never executed; projecting it is ours, and
favours the method (docs/deviations.md).
"""

from __future__ import annotations

from torch import Tensor

from methods.base import register_method
from methods.ddpg_projection import DDPGProjection


@register_method("ddpg-projection-target", version=1)
class DDPGProjectionTarget(DDPGProjection):
    """DDPG+projection that bootstraps from the projection of the target actor's output."""

    def target_action(self, obs: Tensor) -> Tensor:
        """See :meth:`DDPG.target_action`."""
        return self.task.constraint.project(super().target_action(obs), obs)
