"""DDPG+projection: executes the feasible action nearest to the actor's output.

The baseline of FlowPG (arXiv 2402.05149) and NFWPO (arXiv 2102.11055). The critic learns from executed actions. No
gradient passes through the projection, and targets bootstrap from the actor's unprojected output.
"""

from __future__ import annotations

from typing import Literal

from methods.base import register_method
from methods.ddpg import DDPG, DDPGConfig


class DDPGProjectionConfig(DDPGConfig):
    """Settings of DDPG+projection.

    Attributes:
        solver: ``"exact"`` projects infeasible actions in closed form, ``"cvxpy"`` solves the QP at every step.
    """

    solver: Literal["exact", "cvxpy"] = "exact"


@register_method("ddpg-projection", version=1)
class DDPGProjection(DDPG[DDPGProjectionConfig]):
    """DDPG whose actions the harness projects with the chosen solver."""

    Config = DDPGProjectionConfig

    @property
    def projection_solver(self) -> Literal["exact", "cvxpy"]:
        """See :attr:`Method.projection_solver`."""
        return self.config.solver
