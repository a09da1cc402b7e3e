"""A flow that is valid by construction: a learned flow on the box, followed by the gauge map onto C(s)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, PositiveInt
from torch import Tensor

from envs.constraints.base import Constraint
from envs.sampling.dataset import embed
from methods.flows.base import Flow
from methods.flows.spline import SplineConfig, SplineFlow
from methods.rays import free_centre, free_gauge, stretch, stretch_onto


class GaugeConfig(SplineConfig):
    """Settings of a gauge flow: a smaller spline flow with gentler slopes, as the gauge map does most of the work."""

    kind: ClassVar[str] = "gauge flow"
    version: ClassVar[int] = 1
    layers: PositiveInt = 2
    hidden: tuple[PositiveInt, ...] = (64, 64)
    slope: float = Field(default=1e-2, gt=0, lt=1)

    def build(self, constraint: Constraint) -> Flow:
        """See :meth:`FlowConfig.build`."""
        return GaugeFlow(constraint, self)


class GaugeFlow(SplineFlow):
    """``f(z; s) = c(s) + r(u) u`` with u = g(z; s) in the box, g a spline flow and c(s) an interior point of C(s).

    Along every ray from 0, the box's boundary is stretched to that of C(s) - c(s) (``methods/rays.py``). The gauge map
    has a closed-form likelihood, which is used to spread the latents evenly over C(s).

    The set must be convex, because other sets have no gauge.
    """

    def forward(self, latent: Tensor, context: Tensor) -> Tensor:
        """Actions (B, n) in the environment's units, float64, in C(s) for every latent in the box."""
        u = self.push(latent, context.to(latent.dtype)).double()
        return stretch_onto(self.constraint, u, self.box_half.double(), embed(self.constraint, context.double()))

    def inverse(self, action: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, d) and log |det dz/du|, shape (B,), of feasible actions (B, n)."""
        obs = embed(self.constraint, context.double())
        centre = free_centre(self.constraint, obs)
        step = self.constraint.to_free(action.double()) - centre
        scaled = step / self.box_half.double()
        shrink = 1 / stretch(scaled, free_gauge(self.constraint, centre, step, obs))
        dtype = self.context_mean.dtype
        latent, log_det = self.pull((shrink * scaled).to(dtype), context.to(dtype))
        return latent, log_det + self.dim * shrink.squeeze(1).log().to(dtype)
