"""The nearest point under a weighted sum of magnitudes and a weighted sum of squares: its two multipliers.

In the positive orthant it is ``x_i = clip((y_i - t w_i) / (1 + m q_i), 0, room_i)``. Both sums fall with t and with m,
which maximise a concave dual function.
"""

from __future__ import annotations

from typing import NamedTuple

from envs.constraints.arrays import some
from envs.constraints.knapsack import Array, Namespace, constant, knapsack_multiplier
from envs.constraints.secular import bracketed_root

# Newton steps on both multipliers at once; more would only help few rows.
JOINT_ROUNDS = 8
# The closest such a step may come to an end of the range, as a share of the distance to it.
SHY = 0.2
# Rounding error, in eps of the summed terms.
CLOSE = 16.0


class Problem(NamedTuple):
    """The data of the nearest point.

    Attributes:
        size: Magnitudes of the action y, (B, n).
        weight: w >= 0, (B, n).
        curvature: q >= 0, (B, n).
        room: Room within the box in the action's direction, (B, n).
        budget: Bound of ``w . x``.
        square: Bound of ``sum q x^2``.
    """

    size: Array
    weight: Array
    curvature: Array
    room: Array
    budget: float
    square: float

    def rows(self, chosen: Array) -> Problem:
        """The problem for some rows."""
        size, weight, curvature, room = (array[chosen] for array in self[:4])
        return Problem(size, weight, curvature, room, self.budget, self.square)


class State(NamedTuple):
    """Point (B, n), sums and slopes at some multipliers; all but the point are (B, 1).

    Attributes:
        point: The nearest point.
        spent: ``w . x``.
        value: ``sum q x^2``.
        first: Decrease of ``w . x`` per t.
        cross: Decrease of ``w . x`` per m, and half of the decrease of the sum of squares per t.
        second: Half of the decrease of the sum of squares per m.
    """

    point: Array
    spent: Array
    value: Array
    first: Array
    cross: Array
    second: Array


def nearest(xp: Namespace, problem: Problem, t: Array, m: Array) -> Array:
    """The point of these multipliers: (B, n)."""
    size, weight, curvature, room, *_ = problem
    return xp.minimum(xp.maximum((size - t * weight) / (1 + m * curvature), 0.0), room)


def look(xp: Namespace, problem: Problem, t: Array, m: Array) -> State:
    """Point, sums and slopes at these multipliers."""
    _, weight, curvature, room, *_ = problem
    point = nearest(xp, problem, t, m)
    bent = curvature * point
    free = (point > 0) & (point < room)
    scale = xp.where(free, 1 / (1 + m * curvature), 0.0)
    pull, drag = scale * weight, scale * bent
    sums = ((weight, point), (bent, point), (pull, weight), (pull, bent), (drag, bent))
    return State(point, *(xp.vecdot(one, other)[:, None] for one, other in sums))


def newton(xp: Namespace, state: State, over: Array, above: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """Newton's step in t and m, (B, 1) each.

    Args:
        xp: Array namespace.
        state: The current state, whose slopes are taken as constants.
        over: Excess of ``w . x``, (B, 1).
        above: Half of the excess of the sum of squares, (B, 1).
        first: Whether t moves, (B, 1) bool.
        second: Whether m moves, (B, 1) bool.
    """
    slopes = (constant(state.first), constant(state.cross), constant(state.second))
    first, second = first & (slopes[0] > 0), second & (slopes[2] > 0)
    one, other = xp.where(first, slopes[0], 1.0), xp.where(second, slopes[2], 1.0)
    # With one free coordinate the two equations are the same but for rounding.
    apart = first & second & (slopes[1] * slopes[1] < (1 - 1e-10) * one * other)
    cross = xp.where(apart, slopes[1], 0.0)
    determinant = one * other - cross * cross
    over, above = xp.where(first, over, 0.0), xp.where(second, above, 0.0)
    return (other * over - cross * above) / determinant, (one * above - cross * over) / determinant


def find_multipliers(xp: Namespace, problem: Problem, alone: Array, eps: float) -> tuple[Array, Array]:
    """The multipliers t and m, (B, 1) each, 0 for an inactive constraint.

    Args:
        xp: Array namespace.
        problem: The problem, without a graph.
        alone: The m for the sum of squares without the other constraint, (B, 1).
        eps: Distance from 1 to the next number.
    """
    none = 0 * alone
    t = _first_alone(xp, problem, none)
    value = xp.vecdot(problem.curvature, nearest(xp, problem, t, none) ** 2)[:, None]
    needs_second = value > problem.square
    spent = xp.vecdot(problem.weight, nearest(xp, problem, none, alone))[:, None]
    both = (needs_second & (spent > problem.budget))[:, 0]
    found_t, found_m = xp.where(needs_second, none, t), xp.where(needs_second, alone, none)
    if some(both):
        found_t[both], found_m[both] = _both(xp, problem.rows(both), t[both], alone[both], eps)
    return found_t, found_m


def _first_alone(xp: Namespace, problem: Problem, m: Array) -> Array:
    """The t for this m: (B, 1). A quadratic knapsack in coordinates scaled by ``sqrt(1 + m q)``."""
    size, weight, curvature, room, budget, _ = problem
    scale = xp.sqrt(1 + m * curvature)
    return knapsack_multiplier(xp, size / scale, weight / scale, 0 * size[:1], room * scale, budget, 0.0)


def _both(xp: Namespace, problem: Problem, most_t: Array, most_m: Array, eps: float) -> tuple[Array, Array]:
    """Multipliers of rows in which both constraints are active, given those of each alone, which are larger.

    Newton's method on both at once is fast and right in most rows; a safe search finds the others.
    """
    t, m = most_t / 2, most_m / 2
    for attempt in range(JOINT_ROUNDS + 1):
        state = look(xp, problem, t, m)
        over, above = state.spent - problem.budget, state.value - problem.square
        # Rounding error of the sums, in which terms of this size are subtracted.
        bare = problem.size / (1 + m * problem.curvature)
        over_error = problem.budget + xp.vecdot(problem.weight, bare)[:, None]
        above_error = problem.square + xp.vecdot(problem.curvature * state.point, bare)[:, None]
        left = (xp.abs(over) > CLOSE * eps * over_error) | (xp.abs(above) > CLOSE * eps * above_error)
        if attempt == JOINT_ROUNDS or not some(left):
            break
        # The second equation in terms of 1/sqrt(value), which is nearly linear in m.
        bent = state.value * (xp.sqrt(state.value / problem.square) - 1)
        dt, dm = newton(xp, state, over, bent, left, left)
        t = xp.minimum(xp.maximum(t + dt, SHY * t), SHY * t + (1 - SHY) * most_t)
        m = xp.minimum(xp.maximum(m + dm, SHY * m), SHY * m + (1 - SHY) * most_m)
    rows = left[:, 0]
    if some(rows):
        t[rows], m[rows] = _search(xp, problem.rows(rows), most_m[rows], eps)
    return t, m


def _search(xp: Namespace, problem: Problem, most_m: Array, eps: float) -> tuple[Array, Array]:
    """The multipliers by a root search in m, with the t for each m: safe, but many times slower."""

    def evaluate(m: Array) -> tuple[Array, Array]:
        state = look(xp, problem, _first_alone(xp, problem, m), m)
        slope = state.second - xp.where(
            state.first > 0, state.cross**2 / xp.where(state.first > 0, state.first, 1.0), 0.0
        )
        return state.value, 2 * xp.where(slope > CLOSE * eps * state.second, slope, 0.0)

    m = bracketed_root(xp, evaluate, most_m, problem.square, eps)
    return _first_alone(xp, problem, m), m
