"""The gauge head: maps the box onto C(s) along rays, without preparation."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from envs.constraints.base import Constraint
from methods.heads.base import Head
from methods.rays import free_centre, free_gauge, stretch, stretch_onto


class GaugeHead(Head):
    """``a = c(s) + r(u) half u``: [-1, 1]^k onto C(s), one to one (see :func:`methods.rays.stretch_onto`).

    ``half`` is half the width of the state-independent box around C(s), and densities are per that half-width. This is
    the last step of a gauge flow, without the flow.
    """

    squashed: ClassVar[bool] = True
    has_density: ClassVar[bool] = True
    needs_convex: ClassVar[str] = "rays from one point do not reach all of it"
    in_plane: ClassVar[bool] = True
    of_points: ClassVar[bool] = False

    def __init__(self, constraint: Constraint) -> None:
        super().__init__(constraint)
        lower, upper = (torch.as_tensor(end, dtype=torch.float64) for end in constraint.free_box)
        self._half = (upper - lower) / 2

    def action_of(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Head.action_of`."""
        return stretch_onto(self.constraint, output.double(), self._half.to(output.device), obs.double())

    def _log_det(self, output: Tensor, obs: Tensor) -> Tensor:
        u, obs = output.double(), obs.double()
        step = self._half.to(output.device) * u
        gauge = free_gauge(self.constraint, free_centre(self.constraint, obs), step, obs)
        return self.outputs * stretch(u, gauge).squeeze(1).log()
