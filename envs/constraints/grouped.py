"""A fixed total, distributed over coordinates, with limits on the sums of groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.constraints.exact import Limits, Variable
from envs.constraints.fixed_total import FixedTotal
from envs.constraints.knapsack import (
    TINY,
    Array,
    Namespace,
    fractional_knapsack,
    quadratic_knapsack,
    quadratic_knapsack_row,
)
from envs.constraints.notation import subscript, total
from envs.errors import UserError

# Computes how coordinates share a sum, from entries of the action or gradient (B, k), their ends (1, k), and the sum.
Fill = Callable[[Array, Array, Array, float], Array]


class Block(NamedTuple):
    """Coordinates with a limited sum. A limit is infinite if the coordinates' own limits imply it."""

    columns: list[int]
    least: float
    most: float


class GroupedAllocation(FixedTotal):
    """``sum_i a_i = total`` and ``least_k <= sum over group k <= most_k`` within the action box; Portfolio.

    Groups do not overlap, and a coordinate may belong to none.

    For a given multiplier of the total, a group either follows it or stays at one of its limits, where its coordinates
    no longer depend on it. So a group's coordinates move between its nearest points at the two limits. With these in
    place of the box, the projection is one quadratic knapsack. The linear oracle takes the same two steps, with greedy
    filling.

    Args:
        total: Total to distribute, in action units.
        groups: Coordinates of each of the K groups.
        least: Least sum of each group, shape (K,).
        most: Greatest sum of each group, shape (K,).
        lower: Lower limit of each coordinate, shape (n,).
        upper: Upper limit of each coordinate, shape (n,).

    Raises:
        UserError: If groups overlap or name coordinates that do not exist, or if the limits leave at most one point.
    """

    def __init__(
        self,
        total: float,
        groups: Sequence[Sequence[int]],
        least: ArrayLike,
        most: ArrayLike,
        lower: ArrayLike,
        upper: ArrayLike,
    ) -> None:
        super().__init__(total, lower, upper)
        self.groups = [sorted(group) for group in groups]
        self.least: NDArray[np.float64] = np.array(least, dtype=np.float64).reshape(-1)
        self.most: NDArray[np.float64] = np.array(most, dtype=np.float64).reshape(-1)
        members = [column for group in self.groups for column in group]
        if not all(self.groups) or not len(self.groups) == len(self.least) == len(self.most):
            raise UserError("GroupedAllocation: give every group coordinates, a least and a greatest sum")
        if len(set(members)) < len(members) or not set(members) <= set(range(self.dim)):
            raise UserError("GroupedAllocation: groups must not share coordinates or name any that do not exist")
        others = [column for column in range(self.dim) if column not in members]
        self._blocks: list[Block] = []
        reached = []
        # Plain numbers: NumPy's would slow down single rows.
        limits = zip(self.groups, self.least.tolist(), self.most.tolist(), strict=True)
        for columns, low, high in [*limits, *([(others, -math.inf, math.inf)] if others else [])]:
            floor, ceiling = (float(end[columns].sum()) for end in (self.lower, self.upper))
            block = Block(columns, low if low > floor else -math.inf, high if high < ceiling else math.inf)
            self._blocks.append(block)
            reached.append((max(low, floor), min(high, ceiling)))
        # The smallest and largest sum that each block can have by itself: (blocks,), (blocks,).
        self._lowest, self._highest = np.array(reached).T
        narrow = not (self._lowest < self._highest).all()
        if narrow or not self._lowest.sum() < self.total < self._highest.sum():
            raise UserError("GroupedAllocation: the limits of the groups leave no choice; widen them")
        self._places = np.argsort([*members, *others]).tolist()
        self._group_margin = 4 * self._rounding
        self._inside = self._middle()
        self._normals, self._bounds = self._inequalities()

    def _middle(self) -> NDArray[np.float64]:
        """A point (n,) that keeps away from every limit."""
        low, high = self._lowest.sum(), self._highest.sum()
        sums = self._lowest + (self.total - low) / (high - low) * (self._highest - self._lowest)
        point = np.empty(self.dim)
        for (columns, *_), held in zip(self._blocks, sums, strict=True):
            lower, upper = self.lower[columns], self.upper[columns]
            point[columns] = lower + (held - lower.sum()) / (upper.sum() - lower.sum()) * (upper - lower)
        return point

    def _inequalities(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The limits that are not implied, as ``a @ normals <= bounds``: (n, j), (j,)."""
        normals, bounds = [], []
        for block in self._blocks:
            member = np.isin(np.arange(self.dim), block.columns).astype(np.float64)
            for sign, bound in ((1.0, block.most), (-1.0, block.least)):
                if math.isfinite(bound):
                    normals.append(sign * member)
                    bounds.append(sign * bound)
        return np.array(normals).reshape(-1, self.dim).T, np.array(bounds)

    def cvxpy_constraints(self, x: Variable, obs_row: Any) -> list[Any]:  # noqa: ARG002
        """The same set for cvxpy."""
        import cvxpy as cp

        sums = [cp.sum(x[group]) for group in self.groups]
        limits = [low <= held for held, low in zip(sums, self.least, strict=True)]
        limits += [held <= high for held, high in zip(sums, self.most, strict=True)]
        return [cp.sum(x) == self.total, x >= self.lower, x <= self.upper, *limits]

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        normals, bounds = (self._like(xp, numbers, action) for numbers in (self._normals, self._bounds))
        return xp.concat([self._missed(xp, action), action @ normals - bounds], axis=1)

    def _tolerance(self, xp: Namespace, context: Array) -> Array:
        margins = [self._margin, *[self._group_margin] * len(self._bounds)]
        return self._like(xp, np.array([margins]), context)

    def _like(self, xp: Namespace, numbers: NDArray[np.float64], array: Array) -> Array:
        return xp.asarray(numbers, dtype=array.dtype, device=array.device)

    def _spans(self, xp: Namespace, key: Array, fill: Fill) -> tuple[Array, Array]:
        """The ends between which coordinates move, given by their groups at their limits: (B, n), (B, n)."""
        limits = self._limits(key)
        slack = 2 * self._group_margin * limits.eps
        lows, highs = [], []
        for columns, least, most in self._blocks:
            part, lower, upper = (array[:, columns] for array in (key, limits.lower, limits.upper))
            lows.append(fill(part, lower, upper, least + slack) if least > -math.inf else lower + 0 * part)
            highs.append(fill(part, lower, upper, most - slack) if most < math.inf else upper + 0 * part)
        return xp.concat(lows, axis=1)[:, self._places], xp.concat(highs, axis=1)[:, self._places]

    def _project(self, xp: Namespace, action: Array, context: Array) -> Array:  # noqa: ARG002
        def nearest(part: Array, lower: Array, upper: Array, held: float) -> Array:
            ones = xp.ones_like(lower[:1])
            return quadratic_knapsack(xp, part, ones, lower, upper, held, -1 / TINY)

        return nearest(action, *self._spans(xp, action, nearest), self.total)

    def _linear_oracle(self, xp: Namespace, gradient: Array, context: Array) -> Array:  # noqa: ARG002
        def best(part: Array, lower: Array, upper: Array, held: float) -> Array:
            room = upper - lower
            return lower + room * fractional_knapsack(xp, part, room, held - xp.sum(lower, axis=1, keepdims=True))

        return self._clip(xp, best(gradient, *self._spans(xp, gradient, best), self.total))

    def _project_row(self, action: list[float], context: list[float], limits: Limits) -> list[float] | None:  # noqa: ARG002
        eps, low, high = limits.eps, limits.lower_row, limits.upper_row
        point = list(map(min, map(max, action, low), high))
        if self._excess_row(point, eps) > 1:
            low, high = self._spans_row(action, limits)
            point = quadratic_knapsack_row(action, [1.0] * self.dim, low, high, self.total, -1 / TINY)
        return point if self._excess_row(point, eps) < -1 else None

    def _spans_row(self, action: list[float], limits: Limits) -> tuple[list[float], list[float]]:
        """:meth:`_spans` for the projection of one row in plain numbers."""
        low, high = list(limits.lower_row), list(limits.upper_row)
        slack = 2 * self._group_margin * limits.eps
        for columns, least, most in self._blocks:
            for end, held in ((low, least + slack), (high, most - slack)):
                if math.isfinite(held):
                    ends = ([row[i] for i in columns] for row in (action, limits.lower_row, limits.upper_row))
                    part, lower, upper = ends
                    nearest = quadratic_knapsack_row(part, [1.0] * len(columns), lower, upper, held, -1 / TINY)
                    for column, value in zip(columns, nearest, strict=True):
                        end[column] = value
        return low, high

    def _excess_row(self, point: list[float], eps: float) -> float:
        """How far a point within the box is outside the set, in margins; negative inside."""
        worst = (abs(sum(point) - self.total) - self._rounding * eps) / (self._margin * eps)
        for columns, least, most in self._blocks:
            held = sum([point[i] for i in columns])
            worst = max(worst, max(held - most, least - held) / (self._group_margin * eps))
        return worst

    def _gauge(self, xp: Namespace, direction: Array, centre: Array | None, context: Array) -> Array:  # noqa: ARG002
        normals, bounds = (self._like(xp, numbers, direction) for numbers in (self._normals, self._bounds))
        return direction @ normals / (bounds - centre @ normals)

    def _tight_box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        lower, upper = self.lower.copy(), self.upper.copy()
        lowest, highest = self._lowest.sum(), self._highest.sum()
        for (columns, *_), least, most in zip(self._blocks, self._lowest, self._highest, strict=True):
            # The smallest and largest sum of the block, given the limits of the other blocks.
            low, high = max(least, self.total - (highest - most)), min(most, self.total - (lowest - least))
            floor, ceiling = self.lower[columns], self.upper[columns]
            lower[columns] = np.maximum(floor, low - (ceiling.sum() - ceiling))
            upper[columns] = np.minimum(ceiling, high - (floor.sum() - floor))
        return lower, upper

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        parts = [f"{total('a{i}', self.dim)} = {self.total:g}"]
        for columns, least, most in self._blocks:
            held = " + ".join(f"a{subscript(column + 1)}" for column in columns)
            low, high = f"{least:g} ≤ " if least > -math.inf else "", f" ≤ {most:g}" if most < math.inf else ""
            if low or high:
                parts.append(f"{low}{held}{high}")
        return f"{', '.join(parts)}, {self.box_text()}"
