"""DDPG with a projection layer: the actor ends in the exact projection and learns through it.

The policy gradient of OptLayer (Pham et al., 2018, arXiv 1709.07643), the subject of FlowPG's claim of "no zero
gradient": if the actor's output lies outside C(s), the part of the gradient that points out of the set vanishes.
"""

from __future__ import annotations

from methods.base import register_method
from methods.ddpg import DDPG, DDPGConfig, NoiseAt
from methods.learner import HeadName


class DDPGProjectionLayerConfig(DDPGConfig):
    """Settings of DDPG with a projection layer; noise is added before the projection."""

    head: HeadName = "projection"
    noise_at: NoiseAt = "output"


@register_method("ddpg-projection-layer", version=3)
class DDPGProjectionLayer(DDPG[DDPGProjectionLayerConfig]):
    """DDPG whose policy is the actor's projected output, also in gradients and targets."""

    Config = DDPGProjectionLayerConfig
