"""DAlpha: TD3 that pulls infeasible outputs back along a ray to the boundary of C(s).

From ACRL-bench (Kasaura et al., RA-L 2023, arXiv 2304.08743).
"""

from __future__ import annotations

from methods.base import register_method
from methods.ddpg import NoiseAt
from methods.heads.alpha import AlphaHead
from methods.learner import HeadName, Target
from methods.td3 import TD3, TD3Config


class DAlphaConfig(TD3Config):
    """Settings of DAlpha."""

    head: HeadName = "alpha"
    noise_at: NoiseAt = "output"
    target: Target = "head"


@register_method("dalpha", version=2)
class DAlpha(TD3[DAlphaConfig]):
    """TD3 with alpha projection; noise is added before it."""

    Config = DAlphaConfig
    needs_convex = AlphaHead.needs_convex
