"""SAlpha: SAC that pulls infeasible samples back along a ray to the boundary of C(s).

From ACRL-bench (Kasaura et al., RA-L 2023, arXiv 2304.08743). Its density on the boundary includes the power of the
distance that the released code leaves out.
"""

from __future__ import annotations

from methods.base import register_method
from methods.heads.alpha import AlphaHead
from methods.sac import SAC, DensityHeadName, SACConfig


class SAlphaConfig(SACConfig):
    """Settings of SAlpha."""

    head: DensityHeadName = "alpha"


@register_method("salpha", version=2)
class SAlpha(SAC[SAlphaConfig]):
    """SAC with alpha projection."""

    Config = SAlphaConfig
    needs_convex = AlphaHead.needs_convex
