"""No constraint except the action box."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from envs.constraints.exact import ExactConstraint, Variable
from envs.constraints.knapsack import Array, Namespace


class Box(ExactConstraint):
    """``lower <= a <= upper``; R+N of ACRL-bench.

    Args:
        lower: Lower end of the action box, shape (n,), in the environment's units.
        upper: Upper end, shape (n,).

    Raises:
        UserError: If the box is empty or not finite.
    """

    def __init__(self, lower: ArrayLike, upper: ArrayLike) -> None:
        super().__init__(lower, upper)
        self._centred = bool((self.lower == -self.upper).all())

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:  # noqa: ARG002
        """The same set for cvxpy."""
        return [x >= self.lower, x <= self.upper]

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        return action[:, :0]

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        return self._clip(xp, action)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:  # noqa: ARG002
        limits = self._limits(gradient)
        return xp.where(gradient > 0, limits.upper, limits.lower)

    def _interior(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        limits = self._limits(action)
        return (limits.lower + limits.upper) / 2

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array:  # noqa: ARG002
        return direction[:, :0]

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        return self.box_text()
