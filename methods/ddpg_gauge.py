"""DDPG-gauge: DDPG whose outputs are mapped from a box onto C(s) along rays. No flow is trained.

Noise is added after the head, as FlowPG adds it after the flow. If it does as well as `flowpg-gauge`, the flow is not
what helps.
"""

from __future__ import annotations

from methods.base import register_method
from methods.ddpg import DDPG, DDPGConfig
from methods.heads.gauge import GaugeHead
from methods.learner import HeadName


class DDPGGaugeConfig(DDPGConfig):
    """Settings of DDPG-gauge."""

    head: HeadName = "gauge"


@register_method("ddpg-gauge", version=1)
class DDPGGauge(DDPG[DDPGGaugeConfig]):
    """DDPG with the gauge map."""

    Config = DDPGGaugeConfig
    needs_convex = GaugeHead.needs_convex
