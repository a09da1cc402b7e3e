"""A ring around 0."""

from __future__ import annotations

import math
from operator import mul

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from envs.constraints.arrays import draw_in_ball
from envs.constraints.exact import Limits
from envs.constraints.knapsack import TINY, Array, Namespace, constant
from envs.constraints.nonconvex import NonConvex
from envs.constraints.notation import total
from envs.errors import UserError


class Ring(NonConvex):
    """``inner_squared <= sum_i a_i^2 <= outer_squared``, a ring or a shell; not convex.

    The projection lies on the ray from 0 through the action. At 0, all points of the inner sphere are equally near, and
    the projection is the one on the first axis, (r, 0, ..., 0). ``interior`` is the middle of the ring on that axis.

    Args:
        inner_squared: Positive, in squared action units.
        outer_squared: Larger than ``inner_squared``.
        lower: Lower end of the action box, shape (n,); the ring must lie within it.
        upper: Upper end, shape (n,).

    Raises:
        UserError: If the radii are not positive and increasing, there is only one coordinate, or the box cuts the ring.
    """

    def __init__(self, inner_squared: float, outer_squared: float, lower: ArrayLike, upper: ArrayLike) -> None:
        super().__init__(lower, upper)
        if not 0 < inner_squared < outer_squared < math.inf:
            given = f"inner_squared is {inner_squared} and outer_squared is {outer_squared}"
            raise UserError(f"Ring: {given}; give 0 < inner_squared < outer_squared")
        if self.dim < 2:
            raise UserError("Ring: with one coordinate it is two intervals; give two coordinates or more")
        self.inner_squared = float(inner_squared)
        self.outer_squared = float(outer_squared)
        self._margin = 4 * self.dim * self.outer_squared
        self._inside = np.zeros(self.dim)
        self._inside[0] = math.sqrt((self.inner_squared + self.outer_squared) / 2)
        self._check_box()

    @property
    def free_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The smallest box around the ring: (n,), (n,)."""
        farthest = np.full(self.dim, math.sqrt(self.outer_squared))
        return -farthest, farthest

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        square = xp.vecdot(action, action)[:, None]
        return xp.concat([square - self.outer_squared, self.inner_squared - square], axis=1)

    def _radii(self, limits: Limits) -> tuple[float, float]:
        """Radii between which rounding seldom makes results infeasible."""
        margin = 2 * self._margin * limits.eps
        return math.sqrt(self.inner_squared + margin), math.sqrt(self.outer_squared - margin)

    def _polar(self, xp: Namespace, point: Array) -> tuple[Array, Array]:
        """Length (B, 1) and direction (B, n); at 0, the direction is the first axis."""
        largest = xp.max(xp.abs(constant(point)), axis=1, keepdims=True)
        first = (xp.arange(self.dim, device=point.device) == 0)[None, :]
        # Scaled to keep squares from underflowing.
        some = largest > 0
        ray = xp.where(some, point / xp.where(some, largest, 1.0), xp.astype(first, point.dtype))
        stretch = xp.sqrt(xp.vecdot(ray, ray))[:, None]
        return largest * stretch, ray / stretch

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        nearest, farthest = self._radii(self._limits(action))
        length, direction = self._polar(xp, action)
        return xp.minimum(xp.maximum(length, nearest), farthest) * direction

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:  # noqa: ARG002
        margin = self._margin * limits.eps
        least, most = self.inner_squared + margin, self.outer_squared - margin
        square = sum(map(mul, action, action))
        if least < square < most:
            return action
        # At the centre and next to an edge, use the formulas for arrays.
        if not (square > most + 2 * margin or TINY < square < least - 2 * margin):
            return None
        nearest, farthest = self._radii(limits)
        scale = (farthest if square > most else nearest) / math.sqrt(square)
        moved = [scale * a for a in action]
        return moved if least < sum(map(mul, moved, moved)) < most else None

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:  # noqa: ARG002
        return self._radii(self._limits(gradient))[1] * self._polar(xp, gradient)[1]

    def _proposal(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        least, most = self.inner_squared ** (self.dim / 2), self.outer_squared ** (self.dim / 2)
        return draw_in_ball((obs.shape[0], self.dim), obs.dtype, generator, least, most).to(obs.device)

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        return f"{self.inner_squared:g} ≤ {total('a{i}²', self.dim)} ≤ {self.outer_squared:g}, {self.box_text()}"
