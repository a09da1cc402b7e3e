"""DDPG through a projection layer: the actor ends in the exact projection, and learns through it.

The policy gradient of OptLayer (Pham et al., 2018, arXiv 1709.07643), which FlowPG's claim of "no zero gradient" is
about: where the actor's output lies outside C(s), what points out of the set is cut off.
"""

from __future__ import annotations

from methods.base import register_method
from methods.ddpg import DDPG, DDPGConfig
from methods.learner import HeadName


class DDPGProjectionLayerConfig(DDPGConfig):
    """Settings of DDPG through a projection layer."""

    head: HeadName = "projection"


@register_method("ddpg-projection-layer", version=1)
class DDPGProjectionLayer(DDPG[DDPGProjectionLayerConfig]):
    """DDPG whose policy is the projected output of the actor, in training's gradient and targets too."""

    Config = DDPGProjectionLayerConfig
