"""Base of sets that are not convex, which have no QP and no gauge."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from envs.constraints.exact import ExactConstraint, Variable
from envs.constraints.knapsack import Array, Namespace
from envs.errors import UserError


class NonConvex(ExactConstraint):
    """A state-independent set within the action box. Projections are exact, but not always unique.

    ``linear_oracle`` maximises over the convex hull and returns a point of the set. The segment towards it may be
    infeasible.
    """

    convex: ClassVar[bool] = False

    @property
    @abstractmethod
    def free_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The smallest box around the set: (n,), (n,)."""

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:  # noqa: ARG002
        """Not available: the set is not convex.

        Raises:
            UserError: Always.
        """
        raise UserError(f"{type(self).__name__}: the set is not convex and has no QP; use project(), which is exact")

    def _pull_in(self, xp: Namespace, point: Array, context: Array, ulps: float) -> Array:  # noqa: ARG002
        # The segment to an interior point may leave the set.
        return self._project(xp, point, context)

    def _check_box(self) -> None:
        """Check that the action box contains the smallest box around the set."""
        lower, upper = self.free_box
        if not ((self.lower <= lower).all() and (self.upper >= upper).all()):
            raise UserError(f"{type(self).__name__}: the action box cuts the set; enlarge it or move the set")
