"""Limits on the mechanical power of joints: bounds on a weighted sum of magnitudes."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from operator import mul
from typing import Any, ClassVar

import array_api_compat.torch as torch_namespace
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from envs.constraints.bounded import Bounded
from envs.constraints.exact import Limits, Variable
from envs.constraints.knapsack import (
    TINY,
    Array,
    Namespace,
    fractional_knapsack,
    quadratic_knapsack,
    quadratic_knapsack_row,
)
from envs.constraints.notation import entries, total

# Coordinates up to which all faces are looked at: a thousand for each action.
MOST_WITH_FACES = 10


class Budget(Bounded):
    """``sum_i c_i |a_i| <= bound``, where c_i >= 0 depends on the state variable w_i and on the sign of a_i.

    The projection lies in the orthant of the action, and the linear oracle's answer in that of the gradient; there both
    reduce to a knapsack over magnitudes. The context indices are those of w, one per action coordinate.
    """

    _degree = 1
    # The cost of a coordinate, as text.
    _term: ClassVar[str]
    # Its cost per w_i a_i, where linear.
    _factors: ClassVar[tuple[int, int]]

    def __init__(self, bound: float, lower: ArrayLike, upper: ArrayLike, context_indices: Sequence[int]) -> None:
        super().__init__(bound, lower, upper, context_indices)
        # The rounding error of a sum of n terms is less than n eps of its value.
        self._margin = 4 * self.dim * self.bound

    def _sizes(self) -> tuple[int, int]:
        return self.dim, self.dim

    @abstractmethod
    def spend(self, power: Tensor) -> Tensor:
        """Cost of coordinates, from their products ``w_i a_i`` of any shape."""

    @abstractmethod
    def _weight(self, xp: Namespace, direction: Array, context: Array) -> Array:
        """Cost c_i >= 0 per unit of a_i in the ``direction`` (B, n), of which only the signs matter: (B, n)."""

    @abstractmethod
    def _weight_row(self, direction: list[float], context: list[float]) -> list[float]:
        """:meth:`_weight` of one row in plain numbers."""

    def scaled_violation(self, action: Tensor, obs: Tensor) -> Tensor:
        """ACRL-bench's: Euclidean norm of the distances beyond the planes of all faces of C(s), (B,).

        There are up to 2^n faces: with more than ten coordinates, it is the distance to C(s).
        """
        if self.dim > MOST_WITH_FACES:
            return super().scaled_violation(action, obs)
        faces = self._signs.to(action)
        normals = faces * self.context(obs.detach())[:, None, :].to(action)
        beyond = (normals @ action[:, :, None])[:, :, 0] - self.bound
        beyond = beyond / (torch.linalg.vector_norm(normals, dim=2) + TINY)
        beyond = torch.cat([beyond, self.box_violation(action)], dim=1).clamp(min=0)
        outside: Tensor = torch.linalg.vector_norm(beyond, dim=1)
        return outside

    @cached_property
    def _signs(self) -> Tensor:
        """The factors of ``w_i a_i`` in the faces' inequalities ``sum_i sign_i w_i a_i <= bound``: (faces, n)."""
        return torch.tensor(list(itertools.product(self._factors, repeat=self.dim)), dtype=torch.float64)

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest box around C(s): two tensors (B, n)."""
        lower, upper = super().bounding_box(obs)
        context = self.context(obs)
        ones = context * 0 + 1
        farthest = self.bound / (self._weight(torch_namespace, ones, context) + TINY)
        lowest = self.bound / (self._weight(torch_namespace, -ones, context) + TINY)
        return lower.maximum(-lowest), upper.minimum(farthest)

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:
        margin = self._margin * limits.eps
        weight = self._weight_row(action, context)
        size, room = list(map(abs, action)), self.room_row(action, limits)
        moved = list(map(min, size, room))
        spent = sum(map(mul, weight, moved))
        if spent > self.bound + margin:
            zeros = [0.0] * self.dim
            moved = quadratic_knapsack_row(size, weight, zeros, room, self.aim(limits.eps), 0.0)
            spent = sum(map(mul, weight, moved))
        return list(map(math.copysign, moved, action)) if spent < self.bound - margin else None

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:
        limits = self._limits(action)
        weight = self._weight(xp, action, context)
        room = xp.where(action < 0, -limits.lower, limits.upper)
        moved = quadratic_knapsack(xp, xp.abs(action), weight, limits.zeros, room, self.aim(limits.eps), 0.0)
        return xp.copysign(moved, action)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:
        limits = self._limits(gradient)
        weight = self._weight(xp, gradient, context)
        negative = gradient < 0
        room = xp.where(negative, -limits.lower, limits.upper)
        share = fractional_knapsack(xp, xp.abs(gradient) / (weight + TINY), weight * room, self.aim(limits.eps))
        return xp.where(negative, -share, share) * room

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array | None:
        if centre is not None:
            return None
        weight = self._weight(xp, direction, context)
        return xp.vecdot(weight, xp.abs(direction))[:, None] / self.bound

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        spent = total(self._term, self.dim)
        return f"{spent} ≤ {self.bound:g}, {entries('w', self.context_indices)}, {self.box_text()}"


class WeightedL1(Budget):
    """``sum_i |w_i a_i| <= bound`` within the action box; HC+O, R+O03, R+O10 and R+O30.

    ``w`` are joint velocities and ``a`` torques in actuator units, so the sum is a power. From FlowPG and ACRL-bench.
    The projection is that onto a weighted l1 ball (Duchi et al. 2008), here with a box.
    """

    _term = "|w{i}a{i}|"
    _factors = (-1, 1)

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        import cvxpy as cp

        w = obs_row[list(self.context_indices)]
        return [cp.norm1(cp.multiply(w, x)) <= self.bound, x >= self.lower, x <= self.upper]

    def spend(self, power: Tensor) -> Tensor:
        """See :meth:`Budget.spend`."""
        return power.abs()

    def _weight(self, xp: Namespace, direction: Array, context: Array) -> Array:  # noqa: ARG002
        return xp.abs(context)

    def _weight_row(self, direction: list[float], context: list[float]) -> list[float]:  # noqa: ARG002
        return list(map(abs, context))

    def _value(self, xp: Namespace, action: Array, context: Array) -> Array:
        return xp.vecdot(xp.abs(context), xp.abs(action))[:, None]

    def draws_without_box(self, obs: Tensor, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """See :meth:`ExactConstraint.draws_without_box`; on the cross-polytope."""
        shape = (obs.shape[0], self.dim)
        radius = self.bound / (self.context(obs).abs() + TINY)
        # Spacings of exponentials are uniform on the simplex (Devroye 1986, ch. V.2); signs make it a cross-polytope.
        spacing = torch.empty((shape[0], self.dim + 1), dtype=obs.dtype, device=generator.device)
        spacing = spacing.exponential_(generator=generator).to(obs.device)
        sign = torch.randint(0, 2, shape, generator=generator, device=generator.device).to(obs.device) * 2 - 1
        cross = sign * radius * spacing[:, :-1] / spacing.sum(dim=1, keepdim=True)
        log_volume = (2 * radius).log().sum(dim=1, keepdim=True) - math.lgamma(self.dim + 1)
        return [(cross, log_volume)]


class Power(Budget):
    """``sum_i max(w_i a_i, 0) <= bound`` within the action box; H+M, W+M and R+M of FlowPG and ACRL-bench.

    ``w`` are joint velocities. Coordinates that brake their joint (w_i a_i <= 0) are free: recovered power does not
    count.
    """

    _term = "max(w{i}a{i}, 0)"
    _factors = (0, 1)

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        import cvxpy as cp

        w = obs_row[list(self.context_indices)]
        return [cp.sum(cp.pos(cp.multiply(w, x))) <= self.bound, x >= self.lower, x <= self.upper]

    def spend(self, power: Tensor) -> Tensor:
        """See :meth:`Budget.spend`."""
        return power.clamp(min=0)

    def _weight(self, xp: Namespace, direction: Array, context: Array) -> Array:
        # Multiply the signs, since products of the numbers could underflow.
        return xp.where((direction >= 0) == (context > 0), xp.abs(context), 0.0)

    def _weight_row(self, direction: list[float], context: list[float]) -> list[float]:
        return [abs(w) if (d >= 0) == (w > 0) else 0.0 for d, w in zip(direction, context, strict=True)]

    def _value(self, xp: Namespace, action: Array, context: Array) -> Array:
        return xp.maximum(context * action, 0.0) @ self._limits(action).ones
