"""The flow head of FlowPG (Brahmanage et al., 2023, arXiv 2402.05149): a frozen, trained flow."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from envs.errors import UserError
from methods.flows.base import Flow
from methods.heads.base import Head


class FlowHead(Head):
    """``a = f(u; s)`` for latents u of the flow in [-1, 1]^d.

    Attributes:
        flow: The flow f; set it after training.
    """

    squashed: ClassVar[bool] = True
    has_density: ClassVar[bool] = True
    in_plane: ClassVar[bool] = True
    of_points: ClassVar[bool] = False
    flow: Flow | None = None

    @property
    def traceable(self) -> bool:
        """See :attr:`Head.traceable`."""
        return self._trained().traceable

    def action_of(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Head.action_of`."""
        action: Tensor = self._trained()(output, self.constraint.context(obs))
        return action

    def _log_det(self, output: Tensor, obs: Tensor) -> Tensor:
        flow, context = self._trained(), self.constraint.context(obs)
        _, log_det = flow.inverse(flow(output, context), context)
        scale = (flow.box_half / self._half.to(flow.box_half)).log().sum()
        return scale - log_det

    def _trained(self) -> Flow:
        if self.flow is None:
            raise UserError("FlowHead acts through a trained flow: call the method's prepare() first")
        return self.flow
