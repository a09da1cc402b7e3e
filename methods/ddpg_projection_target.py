"""DDPG+projection with a projected target: the critic bootstraps from a feasible action.

The released codes bootstrap from the target actor's raw output, which is never executed. Projecting it is our change,
and favours the method (docs/deviations.md).
"""

from __future__ import annotations

from methods.base import register_method
from methods.ddpg_projection import DDPGProjection, DDPGProjectionConfig
from methods.learner import Target


class DDPGProjectionTargetConfig(DDPGProjectionConfig):
    """The same settings with a projected target."""

    target: Target = "projected"


@register_method("ddpg-projection-target", version=1)
class DDPGProjectionTarget(DDPGProjection):
    """DDPG+projection that bootstraps from the projected output of the target actor."""

    Config = DDPGProjectionTargetConfig
