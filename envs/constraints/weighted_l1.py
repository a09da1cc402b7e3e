"""A budget for the summed magnitude of mechanical power."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from envs.constraints.budget import Budget
from envs.constraints.knapsack import TINY, Array, Namespace
from envs.constraints.notation import entries, total

if TYPE_CHECKING:
    import cvxpy as cp


class WeightedL1(Budget):
    """``sum_i |w_i a_i| <= bound`` within the action box; HC+O, R+O03, R+O10 and R+O30.

    ``w`` are joint velocities and ``a`` torques in units of the actuator, so that the sum is a power. FlowPG and
    ACRL-bench use it; the exact projection is that onto a weighted l1 ball (Duchi et al. 2008), here with a box.
    """

    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        import cvxpy as cp

        w = obs_row[list(self.context_indices)]
        return [cp.norm1(cp.multiply(w, x)) <= self.bound, x >= self.lower, x <= self.upper]

    def spend(self, power: Tensor) -> Tensor:
        """See :meth:`Budget.spend`."""
        return power.abs()

    def _weight(self, xp: Namespace, direction: Array, context: Array) -> Array:  # noqa: ARG002
        return xp.abs(context)

    def _weight_row(self, direction: list[float], context: list[float]) -> list[float]:  # noqa: ARG002
        return list(map(abs, context))

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:
        return xp.vecdot(xp.abs(context), xp.abs(action))[:, None] - self.bound

    def _proposal(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform on the bounding box or on the cross-polytope without the action box, whichever is smaller."""
        uniform = super()._proposal(obs, generator)
        lower, upper = self.bounding_box(obs)
        cross, log_cross_volume = self.draw_without_box(obs, generator)
        log_box_volume = (upper - lower).log().sum(dim=1, keepdim=True)
        return torch.where(log_cross_volume < log_box_volume, cross, uniform)

    def draw_without_box(self, obs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """One draw a row, uniform on the cross-polytope without the action box, and its log volume: (B, n), (B, 1)."""
        shape = (obs.shape[0], self.dim)
        radius = self.bound / (self.context(obs).abs() + TINY)
        # Spacings of exponentials are uniform on the simplex (Devroye 1986, ch. V.2); signs make it a cross-polytope.
        spacing = torch.empty((shape[0], self.dim + 1), dtype=obs.dtype, device=generator.device)
        spacing = spacing.exponential_(generator=generator).to(obs.device)
        sign = torch.randint(0, 2, shape, generator=generator, device=generator.device).to(obs.device) * 2 - 1
        cross = sign * radius * spacing[:, :-1] / spacing.sum(dim=1, keepdim=True)
        log_volume = (2 * radius).log().sum(dim=1, keepdim=True) - math.lgamma(self.dim + 1)
        return cross, log_volume

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        spent = total("|w{i}a{i}|", self.dim)
        return f"{spent} ≤ {self.bound:g}, {entries('w', self.context_indices)}, {self.box_text()}"
