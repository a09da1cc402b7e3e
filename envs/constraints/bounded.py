"""Base of families with one bound whose set contains 0."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from envs.constraints.exact import ExactConstraint, Limits
from envs.constraints.knapsack import Array, Namespace
from envs.errors import UserError


class Bounded(ExactConstraint):
    """``g(a, s) <= bound`` within an action box that contains 0, with g convex and homogeneous in the action.

    Since g is 0 at 0, the set is never empty.

    Args:
        bound: Positive.
        lower: Lower end of the action box, shape (n,), at most 0.
        upper: Upper end, shape (n,), at least 0.
        context_indices: Observation entries that g depends on.

    Raises:
        UserError: If the bound is not positive, the box does not contain 0, or the number of action coordinates or of
            indices is wrong.
    """

    # Degree of homogeneity of g.
    _degree: ClassVar[Literal[1, 2]]

    def __init__(self, bound: float, lower: ArrayLike, upper: ArrayLike, context_indices: Sequence[int]) -> None:
        super().__init__(lower, upper, context_indices)
        name = type(self).__name__
        if not 0 < bound < math.inf:
            raise UserError(f"{name}: bound is {bound}; it must be positive and finite")
        if not ((self.lower <= 0).all() and (self.upper >= 0).all()):
            raise UserError(f"{name}: the action box must contain 0, since the set may be empty otherwise")
        (dim, count), given = self._sizes(), len(self.context_indices)
        if (dim, count) != (self.dim, given):
            found = f"{self.dim} action coordinates and {given} context indices"
            raise UserError(f"{name}: {found}; give {dim} and {count}")
        self.bound = float(bound)
        self._centred = bool((self.lower == -self.upper).all())

    @abstractmethod
    def _value(self, xp: Namespace, action: Array, context: Array) -> Array:
        """g: (B, 1)."""

    def _sizes(self) -> tuple[int, int]:
        """Numbers of action coordinates and context indices that the family takes; any by default."""
        return self.dim, len(self.context_indices)

    def aim(self, eps: float) -> float:
        """A slightly smaller bound, with which rounding seldom makes results infeasible."""
        return self.bound - 2 * self._margin * eps

    def room_row(self, direction: list[float], limits: Limits) -> list[float]:
        """Room within the box for each coordinate in this direction, in plain numbers."""
        if self._centred:
            return limits.upper_row
        ends = zip(direction, limits.lower_row, limits.upper_row, strict=True)
        return [-low if d < 0 else up for d, low, up in ends]

    def derived(self, obs_row: Any, formula: Callable[[Array], Array]) -> Any:
        """Coefficients for cvxpy, computed by the formula from the state variables (1, k)."""
        from envs.constraints.solver import derived

        return derived(obs_row, lambda row: np.asarray(formula(row[None, list(self.context_indices)])))

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:
        return self._value(xp, action, context) - self.bound

    def _interior(self, xp: Namespace, action: Array, context: Array) -> Array:
        """The middle of the box, moved towards 0 if it takes more than half of the bound, or of its root."""
        limits = self._limits(action)
        middle = (limits.lower + limits.upper) / 2 + 0 * action
        share = self.bound / xp.maximum(2**self._degree * self._value(xp, middle, context), self.bound)
        return middle * (share if self._degree == 1 else xp.sqrt(share))
