"""DRad: TD3 that squashes its outputs along rays into C(s).

From ACRL-bench (Kasaura et al., RA-L 2023, arXiv 2304.08743).
"""

from __future__ import annotations

from methods.base import register_method
from methods.ddpg import NoiseAt
from methods.heads.radial import RadialHead
from methods.learner import HeadName, Target
from methods.td3 import TD3, TD3Config


class DRadConfig(TD3Config):
    """Settings of DRad."""

    head: HeadName = "radial"
    noise_at: NoiseAt = "output"
    target: Target = "head"


@register_method("drad", version=3)
class DRad(TD3[DRadConfig]):
    """TD3 with radial squashing; noise is added before it."""

    Config = DRadConfig
    needs_convex = RadialHead.needs_convex
