"""Limits on the change of the action, alone and with a limit on power."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import Any

import array_api_compat.numpy as numpy_namespace
import array_api_compat.torch as torch_namespace
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from envs.constraints.arrays import draw_on_simplex
from envs.constraints.budget import WeightedL1
from envs.constraints.exact import ExactConstraint, Limits, Variable
from envs.constraints.knapsack import (
    TINY,
    Array,
    Namespace,
    fractional_knapsack,
    quadratic_knapsack,
    quadratic_knapsack_row,
)
from envs.constraints.notation import entries
from envs.errors import UserError

FLOAT64_EPS = float(np.finfo(np.float64).eps)
# The share by which the budget exceeds the smallest feasible sum, if it has to be widened.
SPARE = 0.05


class RateLimit(ExactConstraint):
    """``|a_i - p_i| <= rate`` for each coordinate, within the action box; HC+R. p is the previous action.

    A box that moves with the state. Synthetic states may have a p outside the action box; the nearest point inside then
    takes its place, so the set always has an interior.

    Args:
        rate: Largest change of a coordinate in one step.
        lower: Lower end of the action box, shape (n,).
        upper: Upper end, shape (n,).
        context_indices: Observation entries that hold p, one per coordinate.

    Raises:
        UserError: If the rate is not positive, or indices and coordinates differ in number.
    """

    def __init__(self, rate: float, lower: ArrayLike, upper: ArrayLike, context_indices: Sequence[int]) -> None:
        super().__init__(lower, upper, context_indices)
        if not 0 < rate < np.inf:
            raise UserError(f"RateLimit: rate is {rate}; it must be positive and finite")
        if len(self.context_indices) != self.dim:
            raise UserError(f"RateLimit: give one context index for each of the {self.dim} action coordinates")
        self.rate = float(rate)

    def window(self, xp: Namespace, context: Array) -> tuple[Array, Array]:
        """Lower and upper end of each coordinate: (B, n), (B, n)."""
        limits = self._limits(context)
        before = self._clip(xp, context)
        return xp.maximum(before - self.rate, limits.lower), xp.minimum(before + self.rate, limits.upper)

    def window_row(self, context: list[float], limits: Limits) -> tuple[list[float], list[float]]:
        """:meth:`window` of one row in plain numbers."""
        before = list(map(min, map(max, context, limits.lower_row), limits.upper_row))
        low = [max(p - self.rate, end) for p, end in zip(before, limits.lower_row, strict=True)]
        return low, [min(p + self.rate, end) for p, end in zip(before, limits.upper_row, strict=True)]

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The set itself: two tensors (B, n)."""
        return self.window(torch_namespace, self.context(obs))

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        from envs.constraints.solver import derived

        columns = list(self.context_indices)
        low = derived(obs_row, lambda row: self.window(numpy_namespace, row[None, columns])[0][0])
        high = derived(obs_row, lambda row: self.window(numpy_namespace, row[None, columns])[1][0])
        return [x >= low, x <= high]

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:
        before = self._clip(xp, context)
        # Not |a - p| - rate, which rounds differently from the ends that a projection reaches.
        return xp.maximum((before - self.rate) - action, action - (before + self.rate))

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:
        low, high = self.window(xp, context)
        return xp.minimum(xp.maximum(action, low), high)

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:
        # Plain numbers round as float64 does.
        if limits.eps > FLOAT64_EPS:
            return None
        low, high = self.window_row(context, limits)
        return list(map(min, map(max, action, low), high))

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:
        low, high = self.window(xp, context)
        return xp.where(gradient > 0, high, low)

    def _interior(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        low, high = self.window(xp, context)
        return (low + high) / 2

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array:
        low, high = self.window(xp, context)
        # The centre is never None, as the window is not centred on 0.
        return xp.maximum(direction / (high - centre), direction / (low - centre))

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        return f"|aᵢ - pᵢ| ≤ {self.rate:g}, {entries('p', self.context_indices)}, {self.box_text()}"


class RateLimitedL1(ExactConstraint):
    """``sum_i |w_i a_i| <= b(s)`` and ``|a_i - p_i| <= rate`` within the action box; HC+O+R. p is the previous action.

    Joints may accelerate so fast that no action within the rate limit meets the bound. Actuators cannot move faster, so
    the bound is widened: ``b(s) = max(bound, 1.05 least(s))``, where ``least(s)`` is the smallest sum within the rate
    limit. This is the bound itself unless more than 95% of it is needed, and the set always has an interior.

    Within the rate limit, the sum is ``least(s) + sum_i |w_i| |a_i - r_i|``, where r is the point of least magnitudes.
    Around r, the set is a weighted l1 ball in a box, so projection and linear oracle are knapsacks.

    Args:
        l1: The budget.
        rate: The rate limit, on the same action box.

    Raises:
        UserError: If the action boxes differ.
    """

    def __init__(self, l1: WeightedL1, rate: RateLimit) -> None:
        super().__init__(l1.lower, l1.upper, (*l1.context_indices, *rate.context_indices))
        if l1.lower.tolist() != rate.lower.tolist() or l1.upper.tolist() != rate.upper.tolist():
            raise UserError("RateLimitedL1: the action boxes of the two constraints differ; give both the same")
        self.l1 = l1
        self.rate = rate

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest box around C(s): two tensors (B, n)."""
        weight, rest, down, up, spare = self._around(torch_namespace, self.context(obs))
        farthest = spare / (weight + TINY)
        return rest - down.minimum(farthest), rest + up.minimum(farthest)

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        import cvxpy as cp

        from envs.constraints.solver import derived

        columns = list(self.context_indices)
        bound = derived(obs_row, lambda row: self._bound(numpy_namespace, row[None, columns])[0])
        w = obs_row[list(self.l1.context_indices)]
        return [cp.norm1(cp.multiply(w, x)) <= bound, *self.rate.cvxpy_constraints(x, obs_row)]

    def _rest(self, xp: Namespace, context: Array) -> tuple[Array, Array, Array]:
        """Ends of the rate limit, and the point of least magnitudes within: (B, n) each."""
        low, high = self.rate.window(xp, context[:, self.dim :])
        return low, high, xp.minimum(xp.maximum(0 * low, low), high)

    def _bound(self, xp: Namespace, context: Array) -> Array:
        """The bound b(s): (B, 1)."""
        *_, rest = self._rest(xp, context)
        least = self.l1._value(xp, rest, context[:, : self.dim])
        return xp.maximum((1 + SPARE) * least, self.l1.bound + 0 * least)

    def _around(self, xp: Namespace, context: Array) -> tuple[Array, Array, Array, Array, Array]:
        """Weights, the centre r of the l1 ball, the room below and above it, each (B, n), and its radius (B, 1)."""
        low, high, rest = self._rest(xp, context)
        least = self.l1._value(xp, rest, context[:, : self.dim])
        return xp.abs(context[:, : self.dim]), rest, rest - low, high - rest, self._bound(xp, context) - least

    def _tolerance(self, xp: Namespace, context: Array) -> Array:
        # As for WeightedL1; the ends of the rate limit are met to the bit.
        margin = 4 * self.dim * self._bound(xp, context)
        return xp.concat([margin, 0 * context[:, self.dim :]], axis=1)

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:
        w, before = context[:, : self.dim], context[:, self.dim :]
        over = self.l1._value(xp, action, w) - self._bound(xp, context)
        return xp.concat([over, self.rate._violation(xp, action, before)], axis=1)

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:
        weight, rest, down, up, radius = self._aimed(xp, context)
        moved = action - rest
        room = xp.where(moved < 0, down, up)
        zeros = self._limits(action).zeros
        size = quadratic_knapsack(xp, xp.abs(moved), weight, zeros, room, radius, 0.0)
        return self._within(xp, rest + xp.copysign(size, moved), context)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:
        weight, rest, down, up, radius = self._aimed(xp, context)
        room = xp.where(gradient < 0, down, up)
        share = fractional_knapsack(xp, xp.abs(gradient) / (weight + TINY), weight * room, radius)
        return self._within(xp, rest + xp.where(gradient < 0, -share, share) * room, context)

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:
        if limits.eps > FLOAT64_EPS:
            return None
        weight = list(map(abs, context[: self.dim]))
        low, high = self.rate.window_row(context[self.dim :], limits)
        rest = [min(max(0.0, down), up) for down, up in zip(low, high, strict=True)]
        least = sum(map(mul, weight, map(abs, rest)))
        bound = max((1 + SPARE) * least, self.l1.bound)
        margin = 4 * self.dim * bound * limits.eps

        near = list(map(min, map(max, action, low), high))
        spent = sum(map(mul, weight, map(abs, near)))
        if spent > bound + margin:
            items = list(zip(action, rest, low, high, strict=True))
            size = [abs(a - r) for a, r, _, _ in items]
            room = [r - down if a < r else up - r for a, r, down, up in items]
            zeros = [0.0] * self.dim
            size = quadratic_knapsack_row(size, weight, zeros, room, bound - least - 2 * margin, 0.0)
            near = [r - x if a < r else r + x for (a, r, _, _), x in zip(items, size, strict=True)]
            near = list(map(min, map(max, near, low), high))
            spent = sum(map(mul, weight, map(abs, near)))
        return near if spent < bound - margin else None

    def _aimed(self, xp: Namespace, context: Array) -> tuple[Array, Array, Array, Array, Array]:
        """As :meth:`_around`, with a slightly smaller radius, so rounding seldom makes results infeasible."""
        *others, radius = self._around(xp, context)
        margin = 8 * self.dim * self._limits(context).eps * self._bound(xp, context)
        return (*others, radius - margin)

    def _within(self, xp: Namespace, point: Array, context: Array) -> Array:
        """Points clipped to the rate limit, which sums with r may miss by rounding."""
        return self.rate._project(xp, point, context[:, self.dim :])

    def _interior(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        """The middle of the rate limit, moved towards r if it takes more than half of the radius."""
        weight, rest, down, up, radius = self._around(xp, context)
        middle = (up - down) / 2
        spent = xp.vecdot(weight, xp.abs(middle))[:, None]
        return rest + middle * (radius / xp.maximum(2 * spent, radius))

    def draws_without_box(self, obs: Tensor, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """See :meth:`ExactConstraint.draws_without_box`; on the l1 ball, or the part of it with room in the box."""
        weight, rest, down, up, radius = self._around(torch_namespace, self.context(obs))
        farthest = radius / (weight + TINY)
        share = draw_on_simplex((len(obs), self.dim + 1), generator)[:, :-1].to(farthest)
        sign = torch.randint(0, 2, share.shape, generator=generator, device=generator.device).to(share) * 2 - 1
        one_sided = (down == 0) | (up == 0)
        sign = torch.where(one_sided, torch.where(down == 0, 1.0, -1.0), sign)
        sides = torch.where(one_sided, farthest, 2 * farthest)
        log_volume = sides.log().sum(dim=1, keepdim=True) - math.lgamma(self.dim + 1)
        return [(rest + sign * farthest * share, log_volume)]

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        first, second = (part.formula().removesuffix(f", {part.box_text()}") for part in (self.l1, self.rate))
        wider = "or 1.05 of the least in reach where that is more"
        return f"{first}, {wider}, and {second}, {self.box_text()}"
