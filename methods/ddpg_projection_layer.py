"""DDPG through a projection layer: the actor ends in the exact projection, and learns through it.

The policy gradient of OptLayer (Pham et al., 2018, arXiv 1709.07643), which FlowPG's claim of "no zero gradient" is
about: where the actor's output lies outside C(s), what points out of the set is cut off.
"""

from __future__ import annotations

from torch import Tensor

from methods.base import register_method
from methods.ddpg import DDPG, DDPGConfig


@register_method("ddpg-projection-layer", version=1)
class DDPGProjectionLayer(DDPG[DDPGConfig]):
    """DDPG whose policy is the projected output of the actor, in training's gradient and targets too."""

    def decode(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`DDPG.decode`; in double precision, in which a gradient that is cut off comes out as 0."""
        return self.task.constraint.project(super().decode(output, obs).double(), obs.double())
