"""A ball around 0."""

from __future__ import annotations

import math
from operator import mul
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from envs.constraints.arrays import draw_in_ball, log_ball_volume, root
from envs.constraints.exact import ExactConstraint, Limits, Variable
from envs.constraints.gauge import quadratic_gauge
from envs.constraints.knapsack import TINY, Array, Namespace, constant
from envs.constraints.notation import total
from envs.errors import UserError


class Ball(ExactConstraint):
    """``sum_i a_i^2 <= radius_squared`` within the action box; R+L2 (0.05) of FlowPG and ACRL-bench, An+L2 of ARAM.

    The projection and the linear oracle are both ``clip(s y)`` for one scale s, from the optimality conditions: the
    ball's multiplier shrinks y, and the box's multipliers clip it.

    Args:
        radius_squared: Positive, in squared action units.
        lower: Lower end of the action box, shape (n,).
        upper: Upper end, shape (n,).

    Raises:
        UserError: If the radius is not positive, or ball and box share no interior.
    """

    def __init__(self, radius_squared: float, lower: ArrayLike, upper: ArrayLike) -> None:
        super().__init__(lower, upper)
        if not 0 < radius_squared < math.inf:
            raise UserError(f"Ball: radius_squared is {radius_squared}; it must be positive and finite")
        self.radius_squared = float(radius_squared)
        self._nearest_to_centre = np.clip(0.0, self.lower, self.upper)
        if not (self._nearest_to_centre**2).sum() < radius_squared:
            raise UserError("Ball: ball and action box share no interior; enlarge one of them")
        # Between the point nearest to 0 and the middle of the box.
        start, towards = self._nearest_to_centre, (self.lower + self.upper) / 2 - self._nearest_to_centre
        share = 1.0
        while ((start + share * towards) ** 2).sum() >= (self.radius_squared + (start**2).sum()) / 2:
            share /= 2
        self._inside = np.asarray(start + share * towards)
        self._margin = 4 * self.dim * self.radius_squared
        self._centred = bool((self.lower == -self.upper).all())
        self._within_box = bool((np.minimum(-self.lower, self.upper) >= math.sqrt(radius_squared)).all())

    @property
    def free_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The smallest box around ball and action box: (n,), (n,)."""
        others = (self._nearest_to_centre**2).sum() - self._nearest_to_centre**2
        farthest = np.sqrt(self.radius_squared - others)
        return np.maximum(self.lower, -farthest), np.minimum(self.upper, farthest)

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:  # noqa: ARG002
        """The same set for cvxpy."""
        import cvxpy as cp

        return [cp.sum_squares(x) <= self.radius_squared, x >= self.lower, x <= self.upper]

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        return xp.vecdot(action, action)[:, None] - self.radius_squared

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:  # noqa: ARG002
        if not self._within_box:
            return None
        margin = self._margin * limits.eps
        moved = list(map(min, map(max, action, limits.lower_row), limits.upper_row))
        square = sum(map(mul, moved, moved))
        if square > self.radius_squared + margin:
            scale = math.sqrt((self.radius_squared - 2 * margin) / sum(map(mul, action, action)))
            moved = [scale * a for a in action]
            square = sum(map(mul, moved, moved))
        return moved if square < self.radius_squared - margin else None

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        return self._scaled(xp, action)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:  # noqa: ARG002
        return self._scaled(xp, gradient)

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array:  # noqa: ARG002
        square = xp.vecdot(direction, direction)
        if centre is None:
            return root(xp, square / self.radius_squared)[:, None]
        mixed = xp.vecdot(direction, centre)
        room = self.radius_squared - float((self._inside**2).sum())
        return quadratic_gauge(xp, square, mixed, room)[:, None]

    def _proposal(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        lower, upper = self.free_box
        if np.log(upper - lower).sum() < log_ball_volume(self.dim, self.radius_squared):
            return super()._proposal(obs, generator)
        draw = draw_in_ball((obs.shape[0], self.dim), obs.dtype, generator)
        return (math.sqrt(self.radius_squared) * draw).to(obs.device)

    def _scaled(self, xp: Namespace, direction: Array) -> Array:
        """``clip(s y)`` with the largest s >= 0 that keeps it in the ball, for ``direction`` y: (B, n).

        ``|clip(s y)|^2`` rises with s and is quadratic between the breakpoints at which a coordinate reaches an end of
        the box. The last breakpoint inside the ball tells which coordinates are free, and these give s in closed form.
        """
        limits = self._limits(direction)
        square = self.radius_squared - 2 * self._margin * limits.eps
        if self._within_box:
            length = xp.vecdot(direction, direction)[:, None]
            return direction * xp.sqrt(square / (length + (length <= 0)))
        y = constant(direction)
        divisor = xp.where(xp.abs(y) > TINY, y, TINY)
        first, second = limits.lower / divisor, limits.upper / divisor
        enters, leaves = xp.minimum(first, second), xp.maximum(first, second)
        knots = xp.concat([enters, leaves], axis=1)
        points = xp.maximum(knots[:, :, None] * y[:, None, :], limits.lower[:, None, :])
        points = xp.minimum(points, limits.upper[:, None, :])
        within = xp.vecdot(points, points) <= square
        start = xp.max(xp.where(within, knots, 0.0), axis=1, keepdims=True)

        free = (enters <= start) & (start < leaves)
        held = xp.where(free, 0.0, self._clip(xp, start * y))
        room = square - xp.vecdot(held, held)[:, None]
        shrinking = xp.where(free, direction, 0.0)
        length = xp.vecdot(shrinking, shrinking)[:, None]
        scale = xp.sqrt(xp.maximum(room, TINY) / (length + (length <= 0)))
        return self._clip(xp, xp.maximum(scale, start) * direction)

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        return f"{total('a{i}²', self.dim)} ≤ {self.radius_squared:g}, {self.box_text()}"
