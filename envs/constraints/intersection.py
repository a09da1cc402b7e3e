"""A weighted sum of magnitudes and a weighted sum of squares, both bounded."""

from __future__ import annotations

import math
from operator import mul
from typing import Any

import torch
from torch import Tensor

from envs.constraints.arrays import back_like, off_graph
from envs.constraints.budget import WeightedL1
from envs.constraints.exact import SEARCHED_BATCH, ExactConstraint, Limits, Variable
from envs.constraints.knapsack import Array, Namespace, constant
from envs.constraints.multipliers import Problem, find_multipliers, look, nearest, newton
from envs.constraints.multipliers_row import nearest_row
from envs.constraints.quadratic import DiagonalQuadratic
from envs.constraints.support import find_support, in_float64
from envs.errors import UserError

# Strength of the ridge that makes the support point a nearest point, in units of sqrt(eps): below it, rounding counts.
RIDGE = 2.0


class Intersection(ExactConstraint):
    """``sum_i |w_i a_i| <= b`` and ``sum_i q_i a_i^2 <= r`` within the action box; H+O+S and W+O+S of ACRL-bench.

    The projection has one multiplier per constraint. If one constraint is enough, it is a quadratic knapsack or a
    weighted ball. If both are active, Newton's method finds the two multipliers, with a root search as a safeguard: for
    a given multiplier of the second constraint, the other solves a knapsack, and the sum of squares falls with it. The
    result is exact to rounding, and its gradient is that of one Newton step at the solution.

    The linear oracle also has one multiplier per constraint, in closed form once the free coordinates are known. By
    duality, its value is within 1e-13 of the largest, relatively, and the rounding of the result's precision. If
    several points are equally good, no multipliers single one out, and the result is the projection of a far point
    along the gradient. Its value is then too small by at most ``RIDGE sqrt(eps) R^2 / 2`` times the gradient's largest
    entry, where R is the length of the result: 9e-8 at worst with six coordinates in [-1, 1] in float64. Gradients are
    always those of this projection.

    Args:
        l1: The first constraint.
        quadratic: The second one, on the same action box.

    Raises:
        UserError: If the action boxes differ.
    """

    _small_batch = SEARCHED_BATCH

    def __init__(self, l1: WeightedL1, quadratic: DiagonalQuadratic) -> None:
        super().__init__(l1.lower, l1.upper, (*l1.context_indices, *quadratic.context_indices))
        if l1.lower.tolist() != quadratic.lower.tolist() or l1.upper.tolist() != quadratic.upper.tolist():
            raise UserError("Intersection: the action boxes of the two constraints differ; give both the same")
        self.l1 = l1
        self.quadratic = quadratic
        self._centred = l1._centred
        self._split = len(l1.context_indices)

    def bounding_box(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """The smallest box around C(s): two tensors (B, n)."""
        (first_lower, first_upper), (lower, upper) = self.l1.bounding_box(obs), self.quadratic.bounding_box(obs)
        return first_lower.maximum(lower), first_upper.minimum(upper)

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        return self.l1.cvxpy_constraints(x, obs_row)[:1] + self.quadratic.cvxpy_constraints(x, obs_row)

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:
        first = self.l1._violation(xp, action, context[:, : self._split])
        return xp.concat([first, self.quadratic._violation(xp, action, context[:, self._split :])], axis=1)

    def _tolerance(self, xp: Namespace, context: Array) -> Array:
        margins = [[self.l1._margin, self.quadratic._margin]]
        return xp.asarray(margins, dtype=context.dtype, device=context.device)

    def _interior(self, xp: Namespace, action: Array, context: Array) -> Array:
        # Both are multiples of the box's middle.
        first = self.l1._interior(xp, action, context[:, : self._split])
        second = self.quadratic._interior(xp, action, context[:, self._split :])
        return xp.where(xp.abs(first) < xp.abs(second), first, second)

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array | None:
        first = self.l1._gauge(xp, direction, centre, context[:, : self._split])
        if first is None:
            return None
        second = self.quadratic._gauge(xp, direction, centre, context[:, self._split :])
        return xp.concat([first, second], axis=1)

    def draws_without_box(self, obs: Tensor, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """See :meth:`ExactConstraint.draws_without_box`; on the cross-polytope and on the ellipsoid."""
        return [draw for part in (self.l1, self.quadratic) for draw in part.draws_without_box(obs, generator)]

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:
        eps = limits.eps
        weight = list(map(abs, context[: self._split]))
        curvature = self.quadratic.curvature_row(context[self._split :])
        size = list(map(abs, action))
        room = self.l1.room_row(action, limits)

        moved = list(map(min, size, room))
        # How far the magnitudes are outside, in margins.
        over = (sum(map(mul, weight, moved)) - self.l1.bound) / (self.l1._margin * eps)
        above = sum(map(mul, curvature, map(mul, moved, moved))) - self.quadratic.bound
        excess = max(over, above / (self.quadratic._margin * eps))
        if excess > 1:
            items = list(zip(size, weight, curvature, room, strict=True))
            found = nearest_row(items, self.l1.aim(eps), self.quadratic.aim(eps), eps)
            return None if found is None else list(map(math.copysign, found, action))
        return list(map(math.copysign, moved, action)) if excess < -1 else None

    def _problem(self, xp: Namespace, direction: Array, context: Array) -> Problem:
        """The problem in the orthant of the direction."""
        limits = self._limits(direction)
        weight, curvature = xp.abs(context[:, : self._split]), self.quadratic.curvature(xp, context[:, self._split :])
        room = xp.where(direction < 0, -limits.lower, limits.upper)
        aims = self.l1.aim(limits.eps), self.quadratic.aim(limits.eps)
        return Problem(xp.abs(direction), weight, curvature, room, *aims)

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:
        eps = self._limits(action).eps
        problem = self._problem(xp, action, context)
        searched, numbers = off_graph(xp, *problem[:4])
        fixed = Problem._make([*numbers, *problem[4:]])
        alone = self.quadratic.multiplier(searched, fixed.size, fixed.curvature, fixed.room)
        t, m = (back_like(found, action) for found in find_multipliers(searched, fixed, alone, eps))
        # One more Newton step, through which the gradient flows (implicit differentiation).
        state = look(xp, problem, t, m)
        over, above = state.spent - problem.budget, (state.value - problem.square) / 2
        dt, dm = newton(xp, state, over, above, t > 0, m > 0)
        # A multiplier below 0 would move what is 0, if it is -0.0 out of the box.
        t, m = xp.maximum(t + dt, 0.0), xp.maximum(m + dm, 0.0)
        return xp.copysign(nearest(xp, problem, t, m), action)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:
        problem = self._problem(xp, gradient, context)
        numbers = (in_float64(array) for array in problem[:4])
        magnitude, certain = find_support(Problem._make([*numbers, *problem[4:]]))
        point = xp.copysign(xp.asarray(magnitude, dtype=gradient.dtype, device=gradient.device), constant(gradient))
        if not certain.all():
            rows = xp.asarray(~certain, device=gradient.device)
            point[rows] = constant(self._ridge(xp, gradient[rows], context[rows]))
        in_graph = isinstance(gradient, Tensor) and (gradient.requires_grad or context.requires_grad)
        if in_graph and torch.is_grad_enabled():
            # The search is off the graph; the gradient is that of the projection of a far point.
            smooth = self._ridge(xp, gradient, context)
            point = point + (smooth - constant(smooth))
        return point

    def _ridge(self, xp: Namespace, gradient: Array, context: Array) -> Array:
        """The support point as the projection of a far point in the direction of the gradient."""
        far = self._project(xp, gradient / (RIDGE * math.sqrt(self._limits(gradient).eps)), context)
        # A second step from its result loses no digits and cannot lower the value.
        return self._project(xp, far + gradient, context)

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        first, second = (part.formula().removesuffix(f", {part.box_text()}") for part in (self.l1, self.quadratic))
        return f"{first}, and {second}, {self.box_text()}"
