"""A half-space whose normal depends on the state."""

from __future__ import annotations

import math
from abc import abstractmethod
from operator import mul
from typing import Any

import array_api_compat.numpy as numpy_namespace
import array_api_compat.torch as torch_namespace
import numpy as np
from torch import Tensor

from envs.constraints.bounded import Bounded
from envs.constraints.exact import Limits, Variable
from envs.constraints.knapsack import (
    TINY,
    Array,
    Namespace,
    constant,
    fractional_knapsack,
    quadratic_knapsack,
    quadratic_knapsack_row,
)
from envs.constraints.notation import entries

FLOAT64_EPS = float(np.finfo(np.float64).eps)


class HalfSpace(Bounded):
    """``c(s) . a <= bound`` within the action box, with coefficients of either sign.

    With the signs of negative coefficients flipped, projection and linear oracle are knapsacks.
    """

    _degree = 1

    @abstractmethod
    def _normal(self, xp: Namespace, context: Array) -> Array:
        """The coefficients c: (B, n)."""

    @abstractmethod
    def _normal_row(self, context: list[float]) -> list[float]:
        """:meth:`_normal` of one row in plain numbers, equal up to the last bits."""

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest box around C(s): two tensors (B, n)."""
        lower, upper = super().bounding_box(obs)
        normal = self._normal(torch_namespace, self.context(obs))
        least = (normal * lower).minimum(normal * upper)
        # The rest for a coordinate if all others cost least.
        end = (self.bound - least.sum(dim=1, keepdim=True) + least) / normal.where(normal != 0, TINY)
        return lower.maximum(end).where(normal < 0, lower), upper.minimum(end).where(normal > 0, upper)

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        normal = self.derived(obs_row, lambda context: self._normal(numpy_namespace, context)[0])
        return [normal @ x <= self.bound, x >= self.lower, x <= self.upper]

    def _value(self, xp: Namespace, action: Array, context: Array) -> Array:
        return xp.vecdot(self._normal(xp, context), action)[:, None]

    def _tolerance(self, xp: Namespace, context: Array) -> Array:
        # Terms of either sign, and their rounding, may be far larger than their sum.
        limits = self._limits(context)
        farthest = xp.maximum(-limits.lower, limits.upper)
        terms = xp.vecdot(xp.abs(self._normal(xp, context)), farthest)[:, None]
        return 4 * self.dim * (self.bound + terms)

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:
        # In float32, a formula of the state may lose more digits than the margin allows.
        if limits.eps > FLOAT64_EPS:
            return None
        normal = self._normal_row(context)
        weight = list(map(abs, normal))
        farthest = (max(-low, up) for low, up in zip(limits.lower_row, limits.upper_row, strict=True))
        # See :meth:`_tolerance`.
        margin = 4 * self.dim * (self.bound + sum(map(mul, weight, farthest))) * limits.eps
        near = list(map(min, map(max, action, limits.lower_row), limits.upper_row))
        spent = sum(map(mul, normal, near))
        if spent > self.bound + margin:
            ends = zip(normal, limits.lower_row, limits.upper_row, strict=True)
            lower, upper = zip(*[(-up, -low) if c < 0 else (low, up) for c, low, up in ends], strict=True)
            target = [-a if c < 0 else a for a, c in zip(action, normal, strict=True)]
            moved = quadratic_knapsack_row(target, weight, lower, upper, self.bound - 2 * margin, 0.0)
            near = [-x if c < 0 else x for x, c in zip(moved, normal, strict=True)]
            spent = sum(map(mul, normal, near))
        return near if spent < self.bound - margin else None

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:
        normal, sign, lower, upper = self._turned(xp, context)
        aim = self._aim(xp, context)
        return sign * quadratic_knapsack(xp, sign * action, sign * normal, lower, upper, aim, 0.0)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:
        normal, sign, lower, upper = self._turned(xp, context)
        weight, gain = sign * normal, sign * gradient
        budget = self._aim(xp, context) - xp.vecdot(weight, lower)[:, None]
        share = fractional_knapsack(xp, gain / (weight + TINY), weight * (upper - lower), budget)
        # Sums with the lower end may miss the upper end by rounding.
        return self._clip(xp, sign * (lower + xp.where(gain > 0, share, 0.0) * (upper - lower)))

    def _turned(self, xp: Namespace, context: Array) -> tuple[Array, Array, Array, Array]:
        """Absolute coefficients, their signs, and the box's ends after flipping signs: each (B, n)."""
        normal = self._normal(xp, context)
        limits = self._limits(normal)
        negative = normal < 0
        sign = xp.where(negative, -1.0, xp.ones_like(normal))
        lower = xp.where(negative, -limits.upper, limits.lower)
        return normal, sign, lower, xp.where(negative, -limits.lower, limits.upper)

    def _aim(self, xp: Namespace, context: Array) -> Array:
        """A slightly smaller bound, with which rounding seldom makes results infeasible: (B, 1)."""
        return self.bound - 2 * constant(self._tolerance(xp, context)) * self._limits(context).eps

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array:
        normal = self._normal(xp, context)
        room = self.bound if centre is None else self.bound - xp.vecdot(normal, centre)
        return (xp.vecdot(normal, direction) / room)[:, None]


class TwoLegs(HalfSpace):
    """``w1 a1 sin(th1 + th2 + th3) + w4 a4 sin(th4 + th5 + th6) <= bound``; HC+MA of ACRL-bench.

    ``th`` are the joint angles and ``w`` the joint velocities of two legs with three joints each. The sum is the power
    at both hips, weighted with the sines of the feet's orientations; the other coordinates have coefficient 0. The
    context indices are those of th1 to th6, w1 and w4.
    """

    def _sizes(self) -> tuple[int, int]:
        return 6, 8

    def _normal(self, xp: Namespace, context: Array) -> Array:
        first = context[:, 6:7] * xp.sin(context[:, 0:1] + context[:, 1:2] + context[:, 2:3])
        second = context[:, 7:8] * xp.sin(context[:, 3:4] + context[:, 4:5] + context[:, 5:6])
        none = xp.zeros_like(first)
        return xp.concat([first, none, none, second, none, none], axis=1)

    def _normal_row(self, context: list[float]) -> list[float]:
        th1, th2, th3, th4, th5, th6, w1, w4 = context
        return [w1 * math.sin(th1 + th2 + th3), 0.0, 0.0, w4 * math.sin(th4 + th5 + th6), 0.0, 0.0]

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        *angles, first, second = self.context_indices
        power = "w₁a₁ sin(θ₁ + θ₂ + θ₃) + w₄a₄ sin(θ₄ + θ₅ + θ₆)"
        where = f"{entries('θ', angles)}, w₁ = obs[{first}], w₄ = obs[{second}]"
        return f"{power} ≤ {self.bound:g}, {where}, {self.box_text()}"
