"""RealNVP (Dinh et al., 2017, arXiv 1605.08803), the flow of FlowPG: affine coupling layers with bounded scales."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from zuko.flows import RealNVP as ZukoRealNVP

from envs.constraints.base import Constraint
from methods.flows.base import Flow


class RealNVP(Flow):
    """Affine couplings of zuko, which bounds log-scales to |log s| < log 1000 softly where the paper uses tanh.

    Args:
        constraint: The set to map onto; of dimension 2 or more.
        layers: Coupling layers.
        hidden: Widths of each coupling's network.
    """

    def __init__(self, constraint: Constraint, layers: int, hidden: Sequence[int]) -> None:
        super().__init__(constraint)
        flow = ZukoRealNVP(self.dim, self.context_dim, transforms=layers, hidden_features=tuple(hidden))
        self.couplings = flow.transform

    def push(self, latent: Tensor, context: Tensor) -> Tensor:
        """See :meth:`Flow.push`."""
        scaled: Tensor = self.couplings(context if self.context_dim else None).inv(latent)
        return scaled

    def pull(self, scaled: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.pull`."""
        latent, log_det = self.couplings(context if self.context_dim else None).call_and_ladj(scaled)
        return latent, log_det
