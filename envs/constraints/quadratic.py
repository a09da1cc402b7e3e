"""A weighted sum of squares whose weights depend on the state."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from operator import mul
from typing import Any

import array_api_compat.numpy as numpy_namespace
import array_api_compat.torch as torch_namespace
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from envs.constraints.arrays import back_like, draw_in_ball, log_ball_volume, off_graph, root
from envs.constraints.bounded import Bounded
from envs.constraints.exact import SEARCHED_BATCH, Variable
from envs.constraints.gauge import quadratic_gauge
from envs.constraints.knapsack import TINY, Array, Namespace, constant
from envs.constraints.notation import entries, total
from envs.constraints.secular import rising_root


class DiagonalQuadratic(Bounded):
    """``sum_i q_i(s) a_i^2 <= bound`` within the action box, with q_i >= 0.

    The projection is ``clip(y_i / (1 + m q_i))`` for one multiplier m, found to rounding in about five Newton steps.
    """

    _degree = 2
    _small_batch = SEARCHED_BATCH

    def __init__(self, bound: float, lower: ArrayLike, upper: ArrayLike, context_indices: Sequence[int]) -> None:
        super().__init__(bound, lower, upper, context_indices)
        # Rounding of n terms, of their sum, and of q, whose last digits differ between libraries.
        self._margin = 4 * (self.dim + 4) * self.bound

    @abstractmethod
    def curvature(self, xp: Namespace, context: Array) -> Array:
        """The weights q: (B, n), not negative."""

    @abstractmethod
    def curvature_row(self, context: list[float]) -> list[float]:
        """:meth:`curvature` of one row in plain numbers, equal up to the last bits."""

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest box around C(s): two tensors (B, n)."""
        lower, upper = super().bounding_box(obs)
        farthest = (self.bound / (self.curvature(torch_namespace, self.context(obs)) + TINY)).sqrt()
        return lower.maximum(-farthest), upper.minimum(farthest)

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        import cvxpy as cp

        weight = self.derived(obs_row, lambda context: np.sqrt(self.curvature(numpy_namespace, context)[0]))
        length = cp.norm2(cp.multiply(weight, x))
        return [length <= math.sqrt(self.bound), x >= self.lower, x <= self.upper]

    def multiplier(self, xp: Namespace, size: Array, curvature: Array, room: Array) -> Array:
        """The m >= 0 with ``sum_i q_i min(size_i / (1 + m q_i), room_i)^2 = aim``, 0 if none is needed: (B, 1).

        The sum falls with m. Coordinates leave their end of the box at breakpoints. The last breakpoint where the sum
        is still too large tells which coordinates are free, and these give m.

        Args:
            xp: Array namespace.
            size: Magnitudes of the action, (B, n).
            curvature: q, (B, n).
            room: Room within the box in the action's direction, (B, n).
        """
        eps = self._limits(size).eps
        target = self.aim(eps)
        # q (y / (1 + m q))^2 <= y^2 / (4 m): above this no multiplier is needed.
        most = xp.vecdot(size, size)[:, None] / (4 * target)
        leaves = (size / xp.where(room > 0, room, 1.0) - 1) / (curvature + TINY)
        knots = xp.where(room > 0, xp.minimum(leaves, most), most)
        divisors = 1 + xp.maximum(knots, 0.0)[:, :, None] * curvature[:, None, :]
        reached = xp.minimum(size[:, None, :] / divisors, room[:, None, :])
        value = xp.vecdot(reached * reached, curvature[:, None, :])
        start = xp.max(xp.where(value > target, knots, 0.0), axis=1, keepdims=True)
        start = xp.maximum(start, 0.0)

        free = knots <= start
        held = xp.sum(xp.where(free, 0.0, curvature * room * room), axis=1, keepdims=True)
        y = xp.where(free, size, 0.0)

        def evaluate(m: Array) -> tuple[Array, Array]:
            divisor = 1 + m * curvature
            moved = curvature * (y / divisor) ** 2
            return xp.sum(moved, axis=1, keepdims=True), 2 * xp.vecdot(moved, curvature / divisor)[:, None]

        return rising_root(xp, evaluate, start, xp.maximum(target - held, TINY), eps)

    def draws_without_box(self, obs: Tensor, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """See :meth:`ExactConstraint.draws_without_box`; on the ellipsoid."""
        axis = (self.bound / (self.curvature(torch_namespace, self.context(obs)) + TINY)).sqrt()
        draw = draw_in_ball((obs.shape[0], self.dim), obs.dtype, generator).to(obs.device)
        return [(axis * draw, axis.log().sum(dim=1, keepdim=True) + log_ball_volume(self.dim, 1.0))]

    def _value(self, xp: Namespace, action: Array, context: Array) -> Array:
        return xp.vecdot(self.curvature(xp, context), action * action)[:, None]

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:
        limits = self._limits(action)
        curvature, size = self.curvature(xp, context), xp.abs(action)
        room = xp.where(action < 0, -limits.lower, limits.upper)
        searched, numbers = off_graph(xp, size, curvature, room)
        m = back_like(self.multiplier(searched, *numbers), action)
        # One more Newton step, through which the gradient flows (implicit differentiation).
        moved = xp.minimum(size / (1 + m * curvature), room)
        value = xp.vecdot(curvature, moved * moved)[:, None]
        bent = xp.where(moved < room, moved * curvature, 0.0)
        slope = constant(2 * xp.vecdot(bent, bent / (1 + m * curvature))[:, None])
        needed = (m > 0) & (slope > 0)
        m = m + xp.where(needed, value - self.aim(limits.eps), 0.0) / xp.where(needed, slope, 1.0)
        return xp.copysign(xp.minimum(size / (1 + m * curvature), room), action)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:
        """``clip(s g_i / q_i)`` for one scale s; the last breakpoint inside tells which coordinates are free."""
        limits = self._limits(gradient)
        q, gain = self.curvature(xp, context) + TINY, xp.abs(gradient)
        room = xp.where(gradient < 0, -limits.lower, limits.upper)
        ratio = gain / q
        knots = room * q / (gain + TINY)
        reached = xp.minimum(knots[:, :, None] * ratio[:, None, :], room[:, None, :])
        target = self.aim(limits.eps)
        within = xp.vecdot(reached * reached, q[:, None, :]) <= target
        start = xp.max(xp.where(within, knots, 0.0), axis=1, keepdims=True)
        free = knots > start
        held = xp.sum(xp.where(free, 0.0, q * room * room), axis=1, keepdims=True)
        stretch = xp.sum(xp.where(free, gain * ratio, 0.0), axis=1, keepdims=True)
        scale = xp.sqrt(xp.maximum(target - held, 0.0) / (stretch + (stretch <= 0)))
        return xp.copysign(xp.minimum(xp.maximum(scale, start) * ratio, room), gradient)

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array:
        q = self.curvature(xp, context)
        square = xp.vecdot(q, direction * direction)
        if centre is None:
            return root(xp, square / self.bound)[:, None]
        room = self.bound - xp.vecdot(q, centre * centre)
        return quadratic_gauge(xp, square, xp.vecdot(q, direction * centre), room)[:, None]


class SineSquares(DiagonalQuadratic):
    """``sum_i a_i^2 sin^2(th_i) <= bound``; the second constraint of H+O+S and W+O+S of ACRL-bench.

    The context indices are those of th, one per action coordinate.
    """

    def _sizes(self) -> tuple[int, int]:
        return self.dim, self.dim

    def curvature(self, xp: Namespace, context: Array) -> Array:
        """Squared sines: (B, n)."""
        sine = xp.sin(context)
        return sine * sine

    def curvature_row(self, context: list[float]) -> list[float]:
        """Squared sines of one row in plain numbers."""
        sine = list(map(math.sin, context))
        return list(map(mul, sine, sine))

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        spent = total("a{i}² sin²(θ{i})", self.dim)
        return f"{spent} ≤ {self.bound:g}, {entries('θ', self.context_indices)}, {self.box_text()}"
