"""DDPG+projection that solves a QP at every step.

The baseline of FlowPG's claim on training time (arXiv 2402.05149).
"""

from __future__ import annotations

from typing import Literal

from methods.base import register_method
from methods.ddpg_projection import DDPGProjection, DDPGProjectionConfig


class DDPGProjectionQPConfig(DDPGProjectionConfig):
    """Settings of DDPG+projection with the QP as default solver."""

    solver: Literal["exact", "cvxpy"] = "cvxpy"


@register_method("ddpg-projection-qp", version=1)
class DDPGProjectionQP(DDPGProjection):
    """DDPG+projection with ``solver: cvxpy``."""

    Config = DDPGProjectionQPConfig
    needs_convex = "its projection is not a QP"
