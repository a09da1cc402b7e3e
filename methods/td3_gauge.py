"""TD3-gauge: TD3 whose outputs are mapped from a box onto C(s) along rays. No flow is trained.

Noise is added after the head, as FlowPG adds it after the flow.
"""

from __future__ import annotations

from methods.base import register_method
from methods.heads.gauge import GaugeHead
from methods.learner import HeadName, Target
from methods.td3 import TD3, TD3Config


class TD3GaugeConfig(TD3Config):
    """Settings of TD3-gauge."""

    head: HeadName = "gauge"
    target: Target = "projected"


@register_method("td3-gauge", version=1)
class TD3Gauge(TD3[TD3GaugeConfig]):
    """TD3 with the gauge map."""

    Config = TD3GaugeConfig
    needs_convex = GaugeHead.needs_convex
