"""Base of families whose coordinates add up to a fixed total."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from envs.constraints.arrays import draw_on_simplex
from envs.constraints.exact import ExactConstraint
from envs.constraints.knapsack import Array, Namespace
from envs.errors import UserError


class FixedTotal(ExactConstraint):
    """``sum_i a_i = total`` within the action box, with further constraints of a family.

    Floating-point numbers cannot satisfy an equality exactly. Its column of ``violation`` is ``|sum_i a_i - total|``
    minus n eps times the total, the rounding error of a sum of n terms in the action's precision. The set has an
    interior relative to its plane, and projections lie in the plane up to that rounding.

    Args:
        total: Total to distribute, in action units.
        lower: Lower limit of each coordinate, shape (n,).
        upper: Upper limit of each coordinate, shape (n,).

    Raises:
        UserError: If the total is not strictly between the sums of the limits, so at most one point is feasible.
    """

    def __init__(self, total: float, lower: ArrayLike, upper: ArrayLike) -> None:
        super().__init__(lower, upper)
        name, least, most = type(self).__name__, self.lower.sum(), self.upper.sum()
        if self.dim < 2:
            raise UserError(f"{name}: one coordinate leaves no choice; give two or more")
        if not least < total < most:
            raise UserError(f"{name}: total is {total}; it must lie strictly between {least:g} and {most:g}")
        self.total = float(total)
        self._rounding = self.dim * max(abs(self.total), float(np.abs([self.lower, self.upper]).max()))
        self._margin = self._rounding / 2

    @property
    def free_dim(self) -> int:
        """The last coordinate follows from the others."""
        return self.dim - 1

    @property
    def free_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The smallest box around the free coordinates: (n - 1,), (n - 1,)."""
        lower, upper = self._tight_box()
        return lower[:-1], upper[:-1]

    def to_free(self, action: Tensor) -> Tensor:
        """All coordinates but the last: (B, n - 1)."""
        return action[:, :-1]

    def from_free(self, free: Tensor) -> Tensor:
        """Adds the last coordinate from the total: (B, n), in float64, since float32 would break the equality."""
        free = free.double()
        return torch.cat([free, self.total - free.sum(dim=1, keepdim=True)], dim=1)

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest box around C: two tensors (B, n)."""
        lower, upper = (torch.as_tensor(end, dtype=obs.dtype, device=obs.device) for end in self._tight_box())
        return lower.expand(obs.shape[0], -1), upper.expand(obs.shape[0], -1)

    def _missed(self, xp: Namespace, action: Array) -> Array:
        """The column of the equality: (B, 1)."""
        limits = self._limits(action)
        return xp.abs(action @ limits.ones - self.total) - self._rounding * limits.eps

    def _pull_in(self, xp: Namespace, point: Array, context: Array, ulps: float) -> Array:  # noqa: ARG002
        # Only projecting a point that is already near loses no digits: moving towards the interior would.
        return self._project(xp, point, context)

    def _proposal(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform on the simplex above ``lower`` or the one below ``upper``, whichever is smaller."""
        share = draw_on_simplex((obs.shape[0], self.dim), generator).to(obs.device)
        above, below = self.total - self.lower.sum(), self.upper.sum() - self.total
        lower, upper = (torch.as_tensor(end, device=obs.device) for end in (self.lower, self.upper))
        draw = lower + above * share if above < below else upper - below * share
        return self.from_free(self.to_free(draw)).to(obs.dtype)

    def _tight_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The smallest box around C: (n,), (n,)."""
        rest_most, rest_least = self.upper.sum() - self.upper, self.lower.sum() - self.lower
        return np.maximum(self.lower, self.total - rest_most), np.minimum(self.upper, self.total - rest_least)
