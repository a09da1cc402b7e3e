"""Separate discs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from envs.constraints.arrays import draw_in_ball, pick, root
from envs.constraints.exact import Limits
from envs.constraints.knapsack import Array, Namespace
from envs.constraints.nonconvex import NonConvex
from envs.constraints.notation import offset_square
from envs.errors import UserError


class Discs(NonConvex):
    """The union of discs (balls) ``|a - centre_k|^2 <= radius_squared_k`` that do not touch; not convex.

    ``violation`` is the smallest over the discs. Ties between discs, in the projection and in the linear oracle, go to
    the first one. ``interior`` is the centre of the first disc.

    Args:
        centres: Shape (k, n), in action units.
        radius_squared: Shape (k,), positive, in squared action units.
        lower: Lower end of the action box, shape (n,); the discs must lie within it.
        upper: Upper end, shape (n,).

    Raises:
        UserError: If shapes do not fit, a radius is not positive, discs touch, or the box cuts one.
    """

    def __init__(self, centres: ArrayLike, radius_squared: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> None:
        super().__init__(lower, upper)
        self.centres: NDArray[np.float64] = np.array(centres, dtype=np.float64)
        self.radius_squared: NDArray[np.float64] = np.array(radius_squared, dtype=np.float64).reshape(-1)
        count = len(self.radius_squared)
        if self.centres.shape != (count, self.dim) or not count:
            given = f"{self.centres.shape} and {self.radius_squared.shape}"
            raise UserError(f"Discs: centres and radius_squared have shapes {given}; give (k, {self.dim}) and (k,)")
        if not (np.isfinite(self.centres).all() and (self.radius_squared > 0).all()):
            raise UserError("Discs: centres must be finite and every radius_squared positive")
        self._radius = np.sqrt(self.radius_squared)
        apart = np.linalg.norm(self.centres[:, None] - self.centres[None], axis=2)
        touching = apart <= self._radius[:, None] + self._radius[None]
        if (touching & ~np.eye(count, dtype=bool)).any():
            raise UserError("Discs: two discs touch or overlap; move them apart")
        self._margin = 4 * self.dim * float(((np.abs(self.centres).max(axis=1) + self._radius) ** 2).max())
        self._inside = self.centres[0]
        self._check_box()

    @property
    def free_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The smallest box around the discs: (n,), (n,)."""
        radius = self._radius[:, None]
        return (self.centres - radius).min(axis=0), (self.centres + radius).max(axis=0)

    def _discs(self, xp: Namespace, like: Array) -> tuple[Array, Array]:
        """Centres (1, k, n) and radii squared (1, k) in the precision of ``like``."""
        centres = xp.asarray(self.centres, dtype=like.dtype, device=like.device)
        return centres[None], xp.asarray(self.radius_squared, dtype=like.dtype, device=like.device)[None]

    def _aim(self, xp: Namespace, square: Array, limits: Limits) -> Array:
        """Slightly smaller radii squared, with which rounding seldom makes results infeasible; always positive."""
        return xp.maximum(square - 2 * self._margin * limits.eps, square / 2)

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        centres, square = self._discs(xp, action)
        offset = action[:, None, :] - centres
        return xp.min(xp.vecdot(offset, offset) - square, axis=1, keepdims=True)

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        centres, square = self._discs(xp, action)
        radius = xp.sqrt(self._aim(xp, square, self._limits(action)))
        offset = action[:, None, :] - centres
        length = root(xp, xp.vecdot(offset, offset))
        outside = length > radius
        scale = xp.where(outside, radius / xp.where(outside, length, 1.0), 1.0)
        points = centres + scale[:, :, None] * offset
        return self._best(xp, -xp.maximum(length - radius, 0.0), points)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:  # noqa: ARG002
        centres, square = self._discs(xp, gradient)
        radius = xp.sqrt(self._aim(xp, square, self._limits(gradient)))
        length = root(xp, xp.vecdot(gradient, gradient))[:, None]
        direction = gradient / xp.where(length > 0, length, 1.0)
        points = centres + radius[:, :, None] * direction[:, None, :]
        return self._best(xp, xp.vecdot(points, gradient[:, None, :]), points)

    @staticmethod
    def _best(xp: Namespace, score: Array, points: Array) -> Array:
        """The points with the largest score (B, k) among (B, k, n), the first if tied: (B, n)."""
        return xp.concat(pick(xp, score, *(points[:, :, i] for i in range(points.shape[2]))), axis=1)

    def _proposal(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        rows = obs.shape[0]
        centres, square = self._discs(torch, obs.to(generator.device))
        volume = square[0].pow(self.dim / 2)
        u = torch.rand(rows, generator=generator, dtype=obs.dtype, device=generator.device)
        disc = torch.searchsorted(volume.cumsum(0) / volume.sum(), u).clamp(max=len(volume) - 1)
        unit = draw_in_ball((rows, self.dim), obs.dtype, generator)
        draw: Tensor = centres[0, disc] + square[0, disc, None].sqrt() * unit
        return draw.to(obs.device)

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        pairs = zip(self.centres, self.radius_squared, strict=True)
        discs = [f"{' + '.join(map(offset_square, range(1, self.dim + 1), c))} ≤ {r:g}" for c, r in pairs]
        return f"{' or '.join(discs)}, {self.box_text()}"
