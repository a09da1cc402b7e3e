"""SAC-gauge: SAC whose samples are mapped from a box onto C(s) along rays, with the log-determinant of the map."""

from __future__ import annotations

from methods.base import register_method
from methods.heads.gauge import GaugeHead
from methods.sac import SAC, DensityHeadName, SACConfig


class SACGaugeConfig(SACConfig):
    """Settings of SAC-gauge."""

    head: DensityHeadName = "gauge"


@register_method("sac-gauge", version=2)
class SACGauge(SAC[SACGaugeConfig]):
    """SAC with the gauge map."""

    Config = SACGaugeConfig
    needs_convex = GaugeHead.needs_convex
