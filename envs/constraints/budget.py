"""What the two constraints on joint velocities share: a budget for a weighted sum of magnitudes."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from operator import mul

import array_api_compat.torch as torch_namespace
from numpy.typing import ArrayLike
from torch import Tensor

from envs.constraints.exact import ExactConstraint, Limits
from envs.constraints.knapsack import (
    TINY,
    Array,
    Namespace,
    fractional_knapsack,
    quadratic_knapsack,
    quadratic_knapsack_row,
)
from envs.errors import UserError


class Budget(ExactConstraint):
    """``sum_i c_i |a_i| <= bound``, where c_i >= 0 depends on the state variable w_i and on the sign of a_i.

    The nearest point and the support point lie in the orthant of the action and of the gradient, where both reduce to
    a knapsack over magnitudes. Since 0 is feasible at every observation, the set is never empty.

    Args:
        bound: Positive.
        lower: Lower end of the action box, shape (n,), at most 0.
        upper: Upper end, shape (n,), at least 0.
        context_indices: Entries of the observation that are w, one for each action coordinate.

    Raises:
        UserError: If the bound is not positive, the box does not hold 0, or there are not n indices.
    """

    def __init__(self, bound: float, lower: ArrayLike, upper: ArrayLike, context_indices: Sequence[int]) -> None:
        super().__init__(lower, upper, context_indices)
        name = type(self).__name__
        if not 0 < bound < math.inf:
            raise UserError(f"{name}: bound is {bound}; it must be positive and finite")
        if len(self.context_indices) != self.dim:
            raise UserError(f"{name}: {len(self.context_indices)} context indices for {self.dim} action coordinates")
        if not ((self.lower <= 0).all() and (self.upper >= 0).all()):
            raise UserError(f"{name}: the action box must hold 0, or the set is empty where velocities are large")
        self.bound = float(bound)
        # A sum of n terms errs by less than n eps of its value.
        self._margin = 4 * self.dim * self.bound
        self._centred = bool((self.lower == -self.upper).all())

    @abstractmethod
    def _weight(self, xp: Namespace, direction: Array, context: Array) -> Array:
        """Cost c_i >= 0 of a unit of a_i in the ``direction`` (B, n), of which only the signs matter: (B, n)."""

    @abstractmethod
    def spend(self, power: Tensor) -> Tensor:
        """What coordinates take of the bound, by their products ``w_i a_i``; of any shape."""

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest box around C(s): two tensors (B, n)."""
        lower, upper = super().bounding_box(obs)
        context = self.context(obs)
        ones = context * 0 + 1
        farthest = self.bound / (self._weight(torch_namespace, ones, context) + TINY)
        lowest = self.bound / (self._weight(torch_namespace, -ones, context) + TINY)
        return lower.maximum(-lowest), upper.minimum(farthest)

    @abstractmethod
    def _weight_row(self, direction: list[float], context: list[float]) -> list[float]:
        """:meth:`_weight` of one row in plain numbers."""

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:
        margin = self._margin * limits.eps
        weight = self._weight_row(action, context)
        size = list(map(abs, action))
        room = [-low if a < 0 else up for a, low, up in zip(action, limits.lower_row, limits.upper_row, strict=True)]
        moved = list(map(min, size, room))
        spent = sum(map(mul, weight, moved))
        if spent > self.bound + margin:
            zeros = [0.0] * self.dim
            moved = quadratic_knapsack_row(size, weight, zeros, room, self._aim(limits), 0.0)
            spent = sum(map(mul, weight, moved))
        return list(map(math.copysign, moved, action)) if spent < self.bound - margin else None

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:
        limits = self._limits(action)
        weight = self._weight(xp, action, context)
        room = xp.where(action < 0, -limits.lower, limits.upper)
        moved = quadratic_knapsack(xp, xp.abs(action), weight, limits.zeros, room, self._aim(limits), 0.0)
        return xp.copysign(moved, action)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:
        limits = self._limits(gradient)
        weight = self._weight(xp, gradient, context)
        negative = gradient < 0
        room = xp.where(negative, -limits.lower, limits.upper)
        share = fractional_knapsack(xp, xp.abs(gradient) / (weight + TINY), weight * room, self._aim(limits))
        return xp.where(negative, -share, share) * room

    def _aim(self, limits: Limits) -> float:
        """A bound so much smaller that answers seldom need mending."""
        return self.bound - 2 * self._margin * limits.eps

    def _interior(self, xp: Namespace, action: Array, context: Array) -> Array:
        limits = self._limits(action)
        middle = (limits.lower + limits.upper) / 2 + 0 * action
        spent = xp.vecdot(self._weight(xp, middle, context), xp.abs(middle))[:, None]
        return middle * (self.bound / xp.maximum(2 * spent, self.bound))

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array | None:
        if centre is not None:
            return None
        weight = self._weight(xp, direction, context)
        return xp.vecdot(weight, xp.abs(direction))[:, None] / self.bound
