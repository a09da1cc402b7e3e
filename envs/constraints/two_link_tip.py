"""The speed of the tip of an arm with two links."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from envs.constraints.knapsack import Array, Namespace
from envs.constraints.matrix import Matrix
from envs.constraints.notation import entries
from envs.constraints.planar import PlanarQuadratic
from envs.errors import UserError


class TwoLinkTip(PlanarQuadratic):
    """``a1^2 + 2 a1 (a1 + a2) c + (a1 + a2)^2 <= bound`` with c the cosine of the elbow; R+T of ACRL-bench.

    The left-hand side is the squared speed of the tip of an arm with two links of length 1 whose joints turn at the
    rates a. At c = 1 and -1, the arm stretched or folded, the ellipse is a slab. Cosines beyond, which are none, are
    taken for the nearer of the two.

    Args:
        bound: Positive, in squared action units.
        lower: Lower end of the action box, shape (2,), at most 0.
        upper: Upper end, shape (2,), at least 0.
        context_indices: The entry of the observation that is c.

    Raises:
        UserError: If the bound is not positive, the box does not hold 0 or is not of dimension 2, or there are more
            indices.
    """

    _largest_entry = 4.0

    def __init__(self, bound: float, lower: ArrayLike, upper: ArrayLike, context_indices: Sequence[int]) -> None:
        super().__init__(bound, lower, upper, context_indices)
        if len(self.context_indices) != 1:
            raise UserError(f"TwoLinkTip: {len(self.context_indices)} context indices; give that of the cosine alone")

    def _matrix(self, xp: Namespace, context: Array) -> Matrix:
        cosine = xp.clip(context, -1.0, 1.0)
        return Matrix(2 + 2 * cosine, 1 + cosine, xp.ones_like(cosine), (1 - cosine) * (1 + cosine))

    def _matrix_row(self, context: list[float]) -> Matrix:
        cosine = min(max(context[0], -1.0), 1.0)
        return Matrix(2 + 2 * cosine, 1 + cosine, 1.0, (1 - cosine) * (1 + cosine))

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        where = entries("c", self.context_indices)
        return f"a₁² + 2a₁(a₁ + a₂)c + (a₁ + a₂)² ≤ {self.bound:g}, {where}, {self.box_text()}"
