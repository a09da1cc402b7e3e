"""SRad: SAC that squashes its samples along rays into C(s).

From ACRL-bench (Kasaura et al., RA-L 2023, arXiv 2304.08743).
"""

from __future__ import annotations

from methods.base import register_method
from methods.heads.radial import RadialHead
from methods.sac import SAC, DensityHeadName, SACConfig


class SRadConfig(SACConfig):
    """Settings of SRad."""

    head: DensityHeadName = "radial"


@register_method("srad", version=2)
class SRad(SAC[SRadConfig]):
    """SAC with radial squashing."""

    Config = SRadConfig
    needs_convex = RadialHead.needs_convex
