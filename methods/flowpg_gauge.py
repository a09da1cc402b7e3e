"""FlowPG with a flow that is valid by construction: a spline flow, followed by the gauge map onto C(s)."""

from __future__ import annotations

from pydantic import Field

from methods.base import register_method
from methods.flowpg import FlowPGBase, FlowPGConfig
from methods.flows.gauge import GaugeConfig
from methods.heads.gauge import GaugeHead


class FlowPGGaugeConfig(FlowPGConfig):
    """Settings of FlowPG with a gauge flow."""

    flow: GaugeConfig = Field(default_factory=GaugeConfig)


@register_method("flowpg-gauge", version=1)
class FlowPGGauge(FlowPGBase[FlowPGGaugeConfig]):
    """FlowPG whose policy is feasible for every latent; for convex constraints."""

    Config = FlowPGGaugeConfig
    needs_convex = GaugeHead.needs_convex
