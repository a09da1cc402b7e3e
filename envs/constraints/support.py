"""The support point under a weighted sum of magnitudes and a weighted sum of squares.

If one of them is enough, it is that of a knapsack or of a weighted ball. If both are active, it is
``x_i = clip(s (g_i - t w_i) / q_i, 0, room_i)`` in the positive orthant. Once it is known which coordinates are 0, at
their end of the box, or free, t and s have a closed form. For a given t, s is that of the second constraint alone, and
``w . x`` falls with t. Coordinates leave 0 at the values ``g_i / w_i``: the two that enclose t tell which coordinates
are 0, and coordinates that are at their end of the box for both mostly stay there.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from envs.constraints.knapsack import TINY, Array, constant, fractional_knapsack
from envs.constraints.multipliers import Problem

# The most halvings of the bracket; one row in a thousand needs more than two.
ROUNDS = 8
# Rows to compute at a time, since each needs memory for n^3 numbers.
PART = 4096
# The largest shortfall from the best value, relative to it.
SHORT = 1e-13


def find_support(problem: Problem) -> tuple[Array, Array]:
    """The support point of each row, and whether it is certain.

    Args:
        problem: NumPy arrays in float64, with the gradient's magnitudes, 1 or all 0 at the largest, for ``size``.

    Returns:
        The point (B, n), 0 if the gradient is 0, and (B,) bool: false if several points are equally good, so no
        multipliers single one out.
    """
    problem = problem._replace(curvature=problem.curvature + TINY)
    gain, weight, curvature, room, budget, square = problem
    point = _second_alone(problem, gain[:, None, :])[:, 0]
    certain = np.vecdot(weight, point) <= budget
    left = np.nonzero(~certain)[0]
    if left.size:
        share = fractional_knapsack(np, (gain / (weight + TINY))[left], (weight * room)[left], budget)
        whole = np.where(gain[left] > 0, share * room[left], 0.0)
        fits = np.vecdot(curvature[left], whole * whole) <= square
        point[left[fits]], certain[left[fits]] = whole[fits], True
        left = left[~fits]
    for start in range(0, left.size, PART):
        rows = left[start : start + PART]
        point[rows], certain[rows] = _both(problem.rows(rows))
    return point, certain


def in_float64(array: Array) -> Array:
    """The same numbers as a NumPy array in double precision, for :func:`find_support`."""
    fixed = constant(array)
    return np.asarray(fixed.cpu() if isinstance(fixed, Tensor) else fixed, dtype=np.float64)


def _both(problem: Problem) -> tuple[Array, Array]:
    """As :func:`find_support`, for rows in which both constraints are active."""
    gain, weight = problem.size, problem.weight
    leaves = gain / (weight + TINY)
    grid = np.concat([0 * gain[:, :1], leaves], axis=1)
    spent, full = _look(problem, leaves, grid)
    over = spent > problem.budget
    at_low = np.argmax(np.where(over, grid, -1.0), axis=1, keepdims=True)
    at_high = np.argmin(np.where(over, np.inf, grid), axis=1, keepdims=True)
    low, high = (np.take_along_axis(grid, at, axis=1) for at in (at_low, at_high))
    full_low, full_high = (np.take_along_axis(full, at[:, :, None], axis=1)[:, 0] for at in (at_low, at_high))

    point, certain, beyond = 0 * gain, np.zeros((len(gain), 1), dtype=bool), full_high
    for _ in range(ROUNDS):
        # With q near 0, a coordinate that is free at one end may still be at its end: the closed form tells.
        held = full_low & (full_high | beyond)
        found, found_t, beyond, right = _closed_form(problem, leaves, (leaves > low) & ~held, held)
        point, certain = np.where(certain, point, found), certain | right
        if certain.all():
            break
        inside = (low < found_t) & (found_t < high)
        t = np.where(inside, found_t, (low + high) / 2)
        spent, full = _look(problem, leaves, t)
        over = spent > problem.budget
        low, full_low = np.where(over, t, low), np.where(over, full[:, 0], full_low)
        high, full_high = np.where(over, high, t), np.where(over, full_high, full[:, 0])
    return point, certain[:, 0]


def _look(problem: Problem, leaves: Array, t: Array) -> tuple[Array, Array]:
    """``w . x`` at each t (B, k), (B, k), and which coordinates are at their end of the box, (B, k, n)."""
    gain, weight, room = (array[:, None, :] for array in (problem.size, problem.weight, problem.room))
    # A coordinate must be exactly 0 at the t at which it leaves 0.
    left = np.where(leaves[:, None, :] > t[:, :, None], gain - t[:, :, None] * weight, 0.0)
    point = _second_alone(problem, left)
    return np.vecdot(point, weight), point >= room


def _second_alone(problem: Problem, gain: Array) -> Array:
    """The support point for gains (B, k, n) under the sum of squares alone, as ``DiagonalQuadratic`` finds it."""
    curvature, room, square = problem.curvature[:, None, :], problem.room[:, None, :], problem.square
    ratio = gain / curvature
    # The scale s at which a coordinate reaches its end; the last one within the bound tells which have reached it.
    knots = room * curvature / (gain + TINY)
    reached = np.minimum(knots[..., None] * ratio[:, :, None, :], room[:, :, None, :])
    within = np.vecdot(reached * reached, curvature[:, :, None, :]) <= square
    start = np.max(np.where(within, knots, 0.0), axis=2, keepdims=True)
    free = knots > start
    held = np.sum(np.where(free, 0.0, curvature * room * room), axis=2, keepdims=True)
    stretch = np.sum(np.where(free, gain * ratio, 0.0), axis=2, keepdims=True)
    scale = np.sqrt(np.maximum(square - held, 0.0) / (stretch + TINY))
    return np.minimum(np.maximum(scale, start) * ratio, room)


def _closed_form(problem: Problem, leaves: Array, free: Array, held: Array) -> tuple[Array, Array, Array, Array]:
    """The result if the coordinates ``free`` are free and ``held`` are at their end of the box, each (B, n) bool.

    Returns:
        Points within both bounds (B, n), multipliers t (B, 1), which coordinates are at their end (B, n), and whether
        the point's value is the largest up to rounding, by duality (B, 1).
    """
    gain, weight, curvature, room, budget, square = problem
    stiff = np.where(free, weight * weight / curvature, 0.0)
    # Multipliers are relative to the t at which the coordinate that changes fastest with it leaves 0: only there, with
    # q near 0, would the difference of g and t w lose all digits.
    pivot = np.take_along_axis(leaves, np.argmax(stiff, axis=1, keepdims=True), axis=1)
    rest = np.where(leaves == pivot, 0.0, gain - pivot * weight)
    pull = np.where(free, rest / curvature, 0.0)
    first, cross, second = np.sum(stiff, axis=1, keepdims=True), _dot(pull, weight), _dot(pull, rest)
    end = np.where(held, room, 0.0)
    budget_left, square_left = budget - _dot(weight, end), square - _dot(curvature, end * end)

    # From s (cross + e first) = budget_left and s^2 (second + 2 e cross + e^2 first) = square_left, t = pivot - e.
    apart = np.maximum(second - cross * cross / (first + TINY), 0.0)
    room_left = np.maximum(square_left - budget_left * budget_left / (first + TINY), TINY)
    slope = budget_left * np.sqrt(apart / room_left)
    e, scale = (slope - cross) / (first + TINY), budget_left / np.where(slope > 0, slope, np.inf)
    t = pivot - e

    point = np.minimum(np.maximum(scale * (rest + e * weight) / curvature, 0.0), room)
    spent, value = _dot(weight, point), _dot(curvature, point * point)
    gap = t * np.abs(budget - spent) + np.abs(square - value) / (2 * scale + TINY)
    inside = np.minimum(np.minimum(budget / (spent + TINY), np.sqrt(square / (value + TINY))), 1.0)
    certain = (t >= 0) & (scale > 0) & (gap <= (inside - 1 + SHORT) * _dot(gain, point))
    return inside * point, t, point >= room, certain


def _dot(one: Array, other: Array) -> Array:
    return np.vecdot(one, other)[:, None]
