"""FlowPG with a neural spline flow on the box instead of RealNVP (Durkan et al., 2019, arXiv 1906.04032)."""

from __future__ import annotations

from pydantic import Field

from methods.base import register_method
from methods.flowpg import FlowPGBase, FlowPGConfig
from methods.flows.spline import SplineConfig


class FlowPGSplineConfig(FlowPGConfig):
    """Settings of FlowPG with a spline flow."""

    flow: SplineConfig = Field(default_factory=SplineConfig)


@register_method("flowpg-spline", version=1)
class FlowPGSpline(FlowPGBase[FlowPGSplineConfig]):
    """FlowPG whose flow has recall 1 by construction and learns validity, except at saturated latents."""

    Config = FlowPGSplineConfig
