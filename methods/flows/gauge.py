"""A flow that is valid by construction: a learned flow on the box, then the gauge map from the box onto C(s)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from envs.constraints.base import Constraint
from envs.sampling.dataset import embed
from methods.flows.base import Flow
from methods.flows.spline import SplineConfig, SplineFlow

# The map ends this much short of the boundary, relative to the distance from the centre: more than the rounding of a
# constraint in float64, and far less than anything that could be learned or counted.
SHORT = 1e-12
TINY = 1e-30


class GaugeConfig(SplineConfig):
    """As the spline flow's, smaller and with gentler slopes, since the gauge map does most of the work."""

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

    Along every ray from 0 the box's boundary is stretched to that of C(s) - c(s): ``r(u) = |u|_inf / gauge(u)``, where
    the gauge (Minkowski functional) of C(s) around c(s) is 1 on its boundary. This maps the box onto C(s), one to one,
    for every set that is star-shaped around c(s), convex ones among them. r is constant along rays, so the Jacobian's
    determinant is that of ``r I + u (grad r)'``, which is r^d since <u, grad r> = 0 (Euler). The gauge map as such is
    that of Tabas and Zhang (2022, arXiv 2109.13371); that it makes a flow, with a closed-form likelihood, is used here
    to spread the latents evenly over C(s).

    The set must be convex: the gauge of others is refused.
    """

    def forward(self, latent: Tensor, context: Tensor) -> Tensor:
        """Actions (B, n) in the environment's units, float64, in C(s) for every latent in the box."""
        u = self.push(latent, context.to(latent.dtype)).double()
        obs = embed(self.constraint, context.double())
        centre = self.constraint.to_free(self.constraint.interior(obs))
        step = self.box_half.double() * u
        stretch = self._stretch(u, self._gauge(centre, step, obs))
        return self.constraint.from_free(centre + (1 - SHORT) * stretch * step)

    def inverse(self, action: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, d) and log |det dz/du|, shape (B,), of feasible actions (B, n)."""
        obs = embed(self.constraint, context.double())
        centre = self.constraint.to_free(self.constraint.interior(obs))
        step = self.constraint.to_free(action.double()) - centre
        scaled = step / self.box_half.double()
        shrink = 1 / self._stretch(scaled, self._gauge(centre, step, obs))
        dtype = self.context_mean.dtype
        latent, log_det = self.pull((shrink * scaled).to(dtype), context.to(dtype))
        return latent, log_det + self.dim * shrink.squeeze(1).log().to(dtype)

    def _gauge(self, centre: Tensor, step: Tensor, obs: Tensor) -> Tensor:
        """Gauge (B, 1) of a step (B, d) in free coordinates."""
        direction = self.constraint.from_free(centre + step) - self.constraint.from_free(centre)
        return self.constraint.gauge(direction, obs)[:, None]

    @staticmethod
    def _stretch(u: Tensor, gauge: Tensor) -> Tensor:
        """r(u), (B, 1); 1 at the centre, where there is no ray."""
        size = torch.linalg.vector_norm(u, ord=torch.inf, dim=1, keepdim=True)
        some = gauge > TINY
        return torch.where(some, size / torch.where(some, gauge, 1.0), 1.0)
