"""A fixed total, distributed over coordinates with limits."""

from __future__ import annotations

from typing import Any

import array_api_compat.torch as torch_namespace
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from envs.constraints.exact import ExactConstraint, Limits, Variable
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


class Allocation(ExactConstraint):
    """``sum_i a_i = total`` within the action box; BSS-3 and BSS-5 of FlowPG and NFWPO, in bikes.

    An equality of rounded numbers cannot be met exactly: its column of ``violation`` is ``|sum_i a_i - total|`` less
    n eps times the total, the rounding of a sum of n terms in the action's precision, and nothing else is forgiven.
    Relative to its plane the set has an interior; projections lie on it up to that rounding.

    Args:
        total: What is distributed, in action units.
        lower: Least for each coordinate, shape (n,).
        upper: Most for each coordinate, shape (n,).

    Raises:
        UserError: If the total is not strictly between the sums of the two, so that at most one point is feasible.
    """

    def __init__(self, total: float, lower: ArrayLike, upper: ArrayLike) -> None:
        super().__init__(lower, upper)
        least, most = self.lower.sum(), self.upper.sum()
        if self.dim < 2:
            raise UserError("Allocation: one coordinate leaves nothing to choose; give two or more")
        if not least < total < most:
            raise UserError(f"Allocation: total is {total}; it must lie strictly between {least:g} and {most:g}")
        self.total = float(total)
        self._rounding = self.dim * max(abs(self.total), float(np.abs([self.lower, self.upper]).max()))
        self._margin = self._rounding / 2
        share = (self.total - least) / (most - least)
        self._inside = self.lower + share * (self.upper - self.lower)
        numbers = np.concatenate([[self.total], self.lower, self.upper])
        self._integral = bool((numbers == np.round(numbers)).all())

    def project_integer(self, action: Tensor, obs: Tensor) -> Tensor:
        """Nearest integer allocation in Euclidean distance, among equally near ones that with the first coordinates up.

        Rounding the continuous projection down and giving what is left to the coordinates that lose most by it is
        optimal: no other unit has a lower marginal cost (greedy for separable convex costs, Ibaraki and Katoh 1988).

        Args:
            action: (B, n).
            obs: (B, o).

        Returns:
            (B, n), whole numbers in the precision of ``action``; without gradient.

        Raises:
            UserError: If the total or an end of the box is not whole, or input is refused by :meth:`project`.
        """
        if not self._integral:
            raise UserError("Allocation: integer allocations need a whole total and whole limits")
        wanted = action.detach().double()
        floor = self.project(wanted, obs.detach()).floor()
        missing = (self.total - floor.sum(dim=1, keepdim=True)).round()
        # Against the action itself: the multiplier's rounding would decide ties.
        loss = torch.where(floor < self._limits(floor).upper, wanted - floor, -torch.inf)
        place: Tensor = ahead(torch_namespace, loss).sum(dim=2)
        return (floor + (place < missing)).to(action.dtype)

    def repair(self, action: Tensor, obs: Tensor) -> Tensor:
        """The allocation that is executed: the nearest integer one, where total and limits are whole."""
        return self.project_integer(action, obs) if self._integral else self.project(action, obs)

    def repair_by_solver(self, action: Tensor, obs: Tensor) -> Tensor:
        """As :meth:`repair`, with the continuous projection by cvxpy."""
        return self.repair(self.project_by_solver(action, obs), obs)

    def executable(self, action: Tensor, obs: Tensor) -> Tensor:
        """Whether an action is feasible and, where total and limits are whole, whole itself: (B,) bool."""
        feasible = self.contains(action, obs)
        return feasible & (action == action.round()).all(dim=1) if self._integral else feasible

    @property
    def free_dim(self) -> int:
        """The last coordinate follows from the others."""
        return self.dim - 1

    @property
    def free_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The smallest box around the free coordinates: (n - 1,), (n - 1,)."""
        lower, upper = self._tight_box()
        return lower[:-1], upper[:-1]

    def to_free(self, action: Tensor) -> Tensor:
        """All coordinates but the last: (B, n - 1)."""
        return action[:, :-1]

    def from_free(self, free: Tensor) -> Tensor:
        """With the last coordinate from the total: (B, n), in float64, as float32 would break the equality."""
        free = free.double()
        return torch.cat([free, self.total - free.sum(dim=1, keepdim=True)], dim=1)

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest box around C: two tensors (B, n)."""
        lower, upper = (torch.as_tensor(end, dtype=obs.dtype, device=obs.device) for end in self._tight_box())
        return lower.expand(obs.shape[0], -1), upper.expand(obs.shape[0], -1)

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:  # noqa: ARG002
        """The same set for cvxpy."""
        import cvxpy as cp

        return [cp.sum(x) == self.total, x >= self.lower, x <= self.upper]

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        limits = self._limits(action)
        return xp.abs(action @ limits.ones - self.total) - self._rounding * limits.eps

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

    def _pull_in(self, xp: Namespace, point: Array, context: Array, ulps: float) -> Array:  # noqa: ARG002
        # The interior lies on the same plane: only a projection of what is already near loses no digits.
        return self._project(xp, point, context)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:  # noqa: ARG002
        limits = self._limits(gradient)
        room = limits.upper - limits.lower
        share = fractional_knapsack(xp, gradient, room, self.total - float(self.lower.sum()))
        return limits.lower + share * room

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array:  # noqa: ARG002
        # A direction in the plane never leaves it.
        return direction[:, :0]

    def _proposal(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform on the simplex above ``lower`` or the one below ``upper``, whichever is smaller."""
        spacing = torch.empty((obs.shape[0], self.dim), dtype=torch.float64, device=generator.device)
        spacing = spacing.exponential_(generator=generator).to(obs.device)
        share = spacing / spacing.sum(dim=1, keepdim=True)
        above, below = self.total - self.lower.sum(), self.upper.sum() - self.total
        lower, upper = (torch.as_tensor(end, device=obs.device) for end in (self.lower, self.upper))
        draw = lower + above * share if above < below else upper - below * share
        return self.from_free(self.to_free(draw)).to(obs.dtype)

    def _tight_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rest_most, rest_least = self.upper.sum() - self.upper, self.lower.sum() - self.lower
        return np.maximum(self.lower, self.total - rest_most), np.minimum(self.upper, self.total - rest_least)

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        return f"{total('a{i}', self.dim)} = {self.total:g}, {self.box_text()}; whole numbers are executed"
