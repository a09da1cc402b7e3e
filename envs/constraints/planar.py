"""A rotated ellipse in the plane, whose matrix depends on the state."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import array_api_compat.numpy as numpy_namespace
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from envs.constraints.arrays import back_like, off_graph, pick, root
from envs.constraints.bounded import Bounded
from envs.constraints.exact import SEARCHED_BATCH, Limits, Variable
from envs.constraints.gauge import quadratic_gauge
from envs.constraints.knapsack import TINY, Array, Namespace, constant
from envs.constraints.notation import entries
from envs.constraints.secular import ROUNDS, rising_root


class PlanarQuadratic(Bounded):
    """``a' Q(s) a <= bound`` within the action box, for two coordinates: an ellipse, or a slab if Q has rank one.

    The projection is either that onto the ellipse, found to rounding in about five Newton steps on its multiplier, or
    it lies on a side of the box, where one coordinate has a closed form. The same holds for the linear oracle.
    """

    # The largest magnitude of an entry of Q.
    _largest_entry: float
    _degree = 2
    _small_batch = SEARCHED_BATCH

    def __init__(self, bound: float, lower: ArrayLike, upper: ArrayLike, context_indices: Sequence[int]) -> None:
        super().__init__(bound, lower, upper, context_indices)
        farthest = float(np.maximum(-self.lower, self.upper).max())
        # Terms of either sign, and their rounding, may be larger than their sum.
        self._margin = 8 * self.bound + 16 * self._largest_entry * farthest**2

    @abstractmethod
    def _matrix(self, xp: Namespace, context: Array) -> Matrix:
        """Q, with entries (B, 1)."""

    @abstractmethod
    def _matrix_row(self, context: list[float]) -> Matrix:
        """:meth:`_matrix` of one row in plain numbers."""

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest box around C(s): two tensors (B, n)."""
        axes = torch.eye(2, dtype=obs.dtype, device=obs.device)[:, None, :].expand(2, len(obs), 2)
        ends = [[self.linear_oracle(sign * axis, obs)[:, i] for i, axis in enumerate(axes)] for sign in (-1, 1)]
        return torch.stack(ends[0], dim=1), torch.stack(ends[1], dim=1)

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        import cvxpy as cp

        length = cp.norm2(self.derived(obs_row, self._root) @ x)
        return [length <= math.sqrt(self.bound), x >= self.lower, x <= self.upper]

    def _root(self, context: Array) -> Array:
        """A matrix R with R'R = Q, (2, 2), for one row."""
        first, cross, second = (float(entry.item()) for entry in self._matrix(numpy_namespace, context)[:3])
        values, vectors = np.linalg.eigh(np.array([[first, cross], [cross, second]]))
        return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T

    def _value(self, xp: Namespace, action: Array, context: Array) -> Array:
        return form(self._matrix(xp, context), action[:, :1], action[:, 1:])

    def aim(self, eps: float) -> float:
        """See :meth:`Bounded.aim`; positive even if rounding is larger than the set."""
        return max(super().aim(eps), self.bound / 2)

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:
        q, margin = self._matrix_row(context), self._margin * limits.eps
        point = list(map(min, map(max, action, limits.lower_row), limits.upper_row))
        value = form(q, *point)
        if value > self.bound + margin:
            point = self._nearest_row(q, action, limits)
            value = form(q, *point)
        return point if value < self.bound - margin else None

    def _nearest_row(self, q: Matrix, action: list[float], limits: Limits) -> list[float]:
        """:meth:`_project` of one action in plain numbers; the action itself if rounding leaves no feasible point."""
        aim, (y1, y2) = self.aim(limits.eps), action
        m = 0.0
        for _ in range(ROUNDS):
            value, slope = value_and_slope(q, y1, y2, m)
            step = 2 * value * (math.sqrt(max(value, 0.0) / aim) - 1) / (slope or math.inf)
            if not step > 4 * limits.eps * m:
                break
            m += step
        (l1, l2), (u1, u2) = limits.lower_row, limits.upper_row
        a1, a2 = shrink(q, y1, y2, m)
        if l1 <= a1 <= u1 and l2 <= a2 <= u2:
            return [a1, a2]
        sides = self._on_sides_row(q, y1, y2, limits)
        return min(sides, key=lambda a: (a[0] - y1) ** 2 + (a[1] - y2) ** 2, default=action)

    def _on_sides_row(self, q: Matrix, y1: float, y2: float, limits: Limits) -> list[list[float]]:
        """The feasible points of :meth:`_on_sides` in plain numbers."""
        (l1, l2), (u1, u2), aim = limits.lower_row, limits.upper_row, self.aim(limits.eps)
        firsts = [(v, _on_side_row(q.second, q.first, q, v, (l2, u2), y2, aim)) for v in (l1, u1)]
        seconds = [(_on_side_row(q.first, q.second, q, v, (l1, u1), y1, aim), v) for v in (l2, u2)]
        return [[a1, a2] for a1, a2 in firsts + seconds if a1 is not None and a2 is not None]

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:
        eps = self._limits(action).eps
        q = self._matrix(xp, context)
        y1, y2 = action[:, :1], action[:, 1:]
        searched, (t1, t2, *numbers) = off_graph(xp, y1, y2, *q)
        fixed = Matrix(*numbers)
        m = rising_root(searched, lambda m: value_and_slope(fixed, t1, t2, m), 0 * t1, self.aim(eps), eps)
        slope = back_like(value_and_slope(fixed, t1, t2, m)[1], action)
        m = back_like(m, action)
        # One more Newton step, through which the gradient flows (implicit differentiation).
        needed = (m > 0) & (slope > 0)
        over = form(q, *shrink(q, y1, y2, m)) - self.aim(eps)
        a1, a2 = shrink(q, y1, y2, m + xp.where(needed, over, 0.0) / xp.where(needed, slope, 1.0))

        firsts, seconds, valid = self._on_sides(xp, q, y1, y2, eps)
        near = constant(-((firsts - y1) ** 2) - (seconds - y2) ** 2)
        return self._choose(xp, (a1, a2), (firsts, seconds), xp.where(valid, near, -xp.inf), xp.inf)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:
        limits = self._limits(gradient)
        q = self._matrix(xp, context)
        g1, g2 = gradient[:, :1], gradient[:, 1:]
        # Along Q^-1 g up to a factor; if Q has rank one, this is 0 or leaves the box.
        a1, a2 = q.second * g1 - q.cross * g2, q.first * g2 - q.cross * g1
        value = form(q, a1, a2)
        scale = xp.sqrt(self.aim(limits.eps) / xp.where(value > TINY, value, 1.0))
        a1, a2 = scale * a1, scale * a2

        # On a side, the other coordinate goes as far as it can.
        far = limits.reach
        to = xp.where(gradient > 0, far, xp.full_like(gradient, -far))
        firsts, seconds, valid = self._on_sides(xp, q, to[:, :1], to[:, 1:], limits.eps)
        gain = xp.where(valid, g1 * firsts + g2 * seconds, -xp.inf)
        return self._choose(xp, (a1, a2), (firsts, seconds), gain, g1 * a1 + g2 * a2)

    def _on_sides(self, xp: Namespace, q: Matrix, y1: Array, y2: Array, eps: float) -> tuple[Array, Array, Array]:
        """The feasible point nearest to y on each of the box's four sides, and whether there is one: each (B, 4)."""
        aim, limits = self.aim(eps), self._limits(y1)
        ends = [xp.concat([limits.lower[:, i : i + 1], limits.upper[:, i : i + 1]], axis=1) for i in (0, 1)]
        second, valid = _on_side(xp, q.second, q.first, q, ends[0], ends[1], y2, aim)
        first, also_valid = _on_side(xp, q.first, q.second, q, ends[1], ends[0], y1, aim)
        firsts = xp.concat([0 * second + ends[0], first], axis=1)
        seconds = xp.concat([second, 0 * first + ends[1]], axis=1)
        return firsts, seconds, xp.concat([valid, also_valid], axis=1)

    def _choose(
        self,
        xp: Namespace,
        inner: tuple[Array, Array],
        sides: tuple[Array, Array],
        scores: Array,
        inner_score: Array | float,
    ) -> Array:
        """The best among the ellipse's own point, if it is in the box, and the points on the sides: (B, 2).

        If rounding leaves none of them, it is the ellipse's own point clipped to the box.
        """
        limits = self._limits(scores)
        a1, a2 = inner
        point = xp.concat([a1, a2], axis=1)
        inside = xp.all((limits.lower <= point) & (point <= limits.upper), axis=1, keepdims=True)
        own = xp.where(inside, inner_score, xp.full_like(a1, -xp.inf))
        clipped = self._clip(xp, point)
        firsts = xp.concat([clipped[:, :1], sides[0]], axis=1)
        seconds = xp.concat([clipped[:, 1:], sides[1]], axis=1)
        return xp.concat(pick(xp, xp.concat([own, scores], axis=1), firsts, seconds), axis=1)

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array:
        q = self._matrix(xp, context)
        d1, d2 = direction[:, :1], direction[:, 1:]
        square = form(q, d1, d2)
        if centre is None:
            return root(xp, square / self.bound)
        c1, c2 = centre[:, :1], centre[:, 1:]
        mixed = d1 * (q.first * c1 + q.cross * c2) + d2 * (q.cross * c1 + q.second * c2)
        return quadratic_gauge(xp, square, mixed, self.bound - form(q, c1, c2))


class TwoLinkTip(PlanarQuadratic):
    """``a1^2 + 2 a1 (a1 + a2) c + (a1 + a2)^2 <= bound`` with c the cosine of the elbow; R+T of ACRL-bench.

    The left-hand side is the squared speed of the tip of an arm with two links of length 1 whose joints turn at the
    rates a. At c = 1 and -1, with the arm stretched or folded, the ellipse is a slab. Values of c outside [-1, 1] are
    clipped. The only context index is that of c.
    """

    _largest_entry = 4.0

    def _sizes(self) -> tuple[int, int]:
        return 2, 1

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


class Matrix(NamedTuple):
    """A symmetric, positive semidefinite 2 x 2 matrix Q, with entries (B, 1) or plain numbers.

    Attributes:
        first: Q11.
        cross: Q12.
        second: Q22.
        determinant: Stored separately, because computing a small one from the entries loses digits.
    """

    first: Array
    cross: Array
    second: Array
    determinant: Array


def form(q: Matrix, a1: Array, a2: Array) -> Array:
    """``a' Q a``; plain numbers or (B, k)."""
    return q.first * a1 * a1 + 2 * q.cross * a1 * a2 + q.second * a2 * a2


def shrink(q: Matrix, y1: Array, y2: Array, m: Array) -> tuple[Array, Array]:
    """``(I + m Q)^-1 y`` for m >= 0."""
    determinant = 1 + m * (q.first + q.second) + m * m * q.determinant
    across = m * q.cross
    a1 = (y1 + m * q.second * y1 - across * y2) / determinant
    return a1, (y2 + m * q.first * y2 - across * y1) / determinant


def value_and_slope(q: Matrix, y1: Array, y2: Array, m: Array) -> tuple[Array, Array]:
    """``a' Q a`` at ``a = (I + m Q)^-1 y``, and its negative derivative in m."""
    a1, a2 = shrink(q, y1, y2, m)
    u1, u2 = q.first * a1 + q.cross * a2, q.cross * a1 + q.second * a2
    v1, v2 = shrink(q, u1, u2, m)
    return form(q, a1, a2), 2 * (u1 * v1 + u2 * v2)


def _on_side(
    xp: Namespace, free: Array, held: Array, q: Matrix, ends: Array, limits: Array, wanted: Array, aim: float
) -> tuple[Array, Array]:
    """The other coordinate, as near to ``wanted`` as Q and box allow, with one coordinate fixed at ``ends`` of the box.

    Args:
        xp: Array namespace.
        free: Q's diagonal entry of the other coordinate, (B, 1).
        held: Q's diagonal entry of the fixed coordinate, (B, 1).
        q: The matrix.
        ends: (1, 2).
        limits: The box's ends for the other coordinate, (1, 2).
        wanted: (B, 1).
        aim: The bound.

    Returns:
        The other coordinate at each end, and whether any value of it is feasible: (B, 2), (B, 2).
    """
    curvature = free + TINY
    square = curvature * aim - (q.determinant + TINY * held) * ends * ends
    middle, half = -q.cross * ends / curvature, root(xp, square) / curvature
    low, up = xp.maximum(limits[:, :1], middle - half), xp.minimum(limits[:, 1:], middle + half)
    return xp.minimum(xp.maximum(wanted, low), up), (square >= 0) & (low <= up)


def _on_side_row(
    free: float, held: float, q: Matrix, end: float, limits: tuple[float, float], wanted: float, aim: float
) -> float | None:
    """:func:`_on_side` for one end in plain numbers; None if no value is feasible."""
    curvature = free + TINY
    square = curvature * aim - (q.determinant + TINY * held) * end * end
    if square < 0:
        return None
    middle, half = -q.cross * end / curvature, math.sqrt(square) / curvature
    low, up = max(limits[0], middle - half), min(limits[1], middle + half)
    return min(max(wanted, low), up) if low <= up else None
