"""A fixed total, distributed over coordinates with limits."""

from __future__ import annotations

from typing import Any

import array_api_compat.torch as torch_namespace
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from envs.constraints.exact import Limits, Variable
from envs.constraints.fixed_total import FixedTotal
from envs.constraints.knapsack import (
    TINY,
    Array,
    Namespace,
    ahead,
    fractional_knapsack,
    quadratic_knapsack,
    quadratic_knapsack_row,
)
from envs.constraints.notation import total
from envs.errors import UserError


class Allocation(FixedTotal):
    """``sum_i a_i = total`` within the action box; BSS-3 and BSS-5 of FlowPG and NFWPO, in bikes.

    Args:
        total: Total to distribute, in action units.
        lower: Lower limit of each coordinate, shape (n,).
        upper: Upper limit of each coordinate, shape (n,).

    Raises:
        UserError: If the total is not strictly between the sums of the limits, so at most one point is feasible.
    """

    def __init__(self, total: float, lower: ArrayLike, upper: ArrayLike) -> None:
        super().__init__(total, lower, upper)
        least, most = self.lower.sum(), self.upper.sum()
        share = (self.total - least) / (most - least)
        self._inside = self.lower + share * (self.upper - self.lower)
        numbers = np.concatenate([[self.total], self.lower, self.upper])
        self._integral = bool((numbers == np.round(numbers)).all())

    def project_integer(self, action: Tensor, obs: Tensor) -> Tensor:
        """Nearest integer allocation in Euclidean distance; ties round the first coordinates up.

        Rounding the continuous projection down, then giving the rest to the coordinates that lost most, is optimal: no
        other unit has a lower marginal cost (greedy for separable convex costs, Ibaraki and Katoh 1988).

        Args:
            action: (B, n).
            obs: (B, o).

        Returns:
            (B, n), whole numbers in the precision of ``action``; without gradient.

        Raises:
            UserError: If the total or an end of the box is not whole, or :meth:`project` rejects the input.
        """
        if not self._integral:
            raise UserError("Allocation: integer allocations need a whole total and whole limits")
        wanted = action.detach().double()
        floor = self.project(wanted, obs.detach()).floor()
        missing = (self.total - floor.sum(dim=1, keepdim=True)).round()
        # Relative to the action itself, since the multiplier's rounding would decide ties.
        loss = torch.where(floor < self._limits(floor).upper, wanted - floor, -torch.inf)
        place: Tensor = ahead(torch_namespace, loss).sum(dim=2)
        return (floor + (place < missing)).to(action.dtype)

    def repair(self, action: Tensor, obs: Tensor) -> Tensor:
        """The allocation to execute: the nearest integer one, if total and limits are whole."""
        return self.project_integer(action, obs) if self._integral else self.project(action, obs)

    def repair_by_solver(self, action: Tensor, obs: Tensor) -> Tensor:
        """As :meth:`repair`, with the continuous projection by cvxpy."""
        return self.repair(self.project_by_solver(action, obs), obs)

    def executable(self, action: Tensor, obs: Tensor) -> Tensor:
        """Whether an action is feasible and, if total and limits are whole, whole itself: (B,) bool."""
        feasible = self.contains(action, obs)
        return feasible & (action == action.round()).all(dim=1) if self._integral else feasible

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:  # noqa: ARG002
        """The same set for cvxpy."""
        import cvxpy as cp

        return [cp.sum(x) == self.total, x >= self.lower, x <= self.upper]

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        return self._missed(xp, action)

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:  # noqa: ARG002
        allowed = (self._rounding - self._margin) * limits.eps
        low, up = limits.lower_row, limits.upper_row
        near = list(map(min, map(max, action, low), up))
        missed = abs(sum(near) - self.total)
        if missed > 2 * self._rounding * limits.eps:
            near = quadratic_knapsack_row(action, [1.0] * self.dim, low, up, self.total, -1 / TINY)
            missed = abs(sum(near) - self.total)
        return near if missed < allowed else None

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        limits = self._limits(action)
        ones = limits.ones[:, 0][None, :]
        return quadratic_knapsack(xp, action, ones, limits.lower, limits.upper, self.total, -1 / TINY)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:  # noqa: ARG002
        limits = self._limits(gradient)
        room = limits.upper - limits.lower
        share = fractional_knapsack(xp, gradient, room, self.total - float(self.lower.sum()))
        return self._clip(xp, limits.lower + share * room)

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array:  # noqa: ARG002
        # Directions stay in the plane, so only the box counts.
        return direction[:, :0]

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        return f"{total('a{i}', self.dim)} = {self.total:g}, {self.box_text()}; whole numbers are executed"
