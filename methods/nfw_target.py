"""NFW with a projected target: NFW whose critic bootstraps from a feasible action.

The released codes bootstrap from the target actor's raw output, which is never executed. Projecting it is our change,
and favours the method (docs/deviations.md).
"""

from __future__ import annotations

from methods.base import register_method
from methods.learner import Target
from methods.nfw import NFW, NFWConfig


class NFWTargetConfig(NFWConfig):
    """The same settings with a projected target."""

    target: Target = "projected"


@register_method("nfw-target", version=1)
class NFWTarget(NFW):
    """NFW that bootstraps from the projected output of the target actor."""

    Config = NFWTargetConfig
