"""A neural spline flow on the box (Durkan et al., 2019, arXiv 1906.04032): every layer maps [-1, 1]^d onto itself."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from pydantic import Field, PositiveInt
from torch import Tensor
from zuko.flows.coupling import NICE
from zuko.transforms import ComposedTransform, MonotonicRQSTransform

from envs.constraints.base import Constraint
from methods.flows.base import Flow
from methods.flows.training import FlowConfig


class SplineConfig(FlowConfig):
    """Architecture of a spline flow.

    Attributes:
        bins: Bins of each rational-quadratic spline.
        slope: Smallest slope of a spline; its inverse is the largest.
    """

    kind: ClassVar[str] = "spline flow"
    version: ClassVar[int] = 1
    layers: PositiveInt = 3
    hidden: tuple[PositiveInt, ...] = (256, 256)
    bins: PositiveInt = 8
    slope: float = Field(default=1e-3, gt=0, lt=1)

    def build(self, constraint: Constraint) -> Flow:
        """See :meth:`FlowConfig.build`."""
        return SplineFlow(constraint, self)


class SplineFlow(Flow):
    """Coupling layers with monotonic rational-quadratic splines from [-1, 1] onto [-1, 1].

    Unlike RealNVP, it cannot leave the box around C(s), and every point of that box has a latent in the box. So recall
    is 1 by construction, and the flow only has to learn to spend few latents outside C(s). Every layer keeps the faces
    of the box, so a latent at an end gives an action at an end, which no training can move into C(s).

    Args:
        constraint: The set to map onto.
        config: Architecture.
    """

    def __init__(self, constraint: Constraint, config: SplineConfig) -> None:
        super().__init__(constraint)
        flow = NICE(
            self.dim,
            self.context_dim,
            transforms=config.layers,
            hidden_features=config.hidden,
            univariate=partial(MonotonicRQSTransform, bound=1.0, slope=config.slope),
            shapes=[(config.bins,), (config.bins,), (config.bins - 1,)],
        )
        self.couplings = flow.transform

    def push(self, latent: Tensor, context: Tensor) -> Tensor:
        """See :meth:`Flow.push`."""
        scaled: Tensor = self._given(context).inv(latent)
        # Rounding may leave the box by one unit in the last place.
        return scaled.clamp(-1, 1)

    def pull(self, scaled: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.pull`."""
        latent, log_det = self._given(context).call_and_ladj(scaled)
        return latent, log_det

    def _given(self, context: Tensor) -> ComposedTransform:
        couplings: ComposedTransform = self.couplings(self.standardise(context) if self.context_dim else None)
        return couplings
