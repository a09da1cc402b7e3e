"""The two multipliers of ``multipliers.py`` for one action in plain numbers: at this size any array call costs more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

from envs.constraints.knapsack import TINY, knapsack_multiplier_row
from envs.constraints.multipliers import SHY

# Newton steps, after which the formulas for arrays are to decide.
ROUNDS = 16
# What is rounding, in eps of a bound: less than the margin that answers keep.
CLOSE = 8.0

# Size, weight, curvature and room of each coordinate.
Items = Sequence[tuple[float, float, float, float]]


def nearest_row(items: Items, budget: float, square: float, eps: float) -> list[float] | None:
    """The nearest point under ``w . x <= budget`` and ``sum q x^2 <= square``.

    Args:
        items: Size, weight, curvature and room of each coordinate, as in ``multipliers.Problem``.
        budget: Bound of ``w . x``.
        square: Bound of ``sum q x^2``.
        eps: Distance from 1 to the next number.

    Returns:
        (n,), or None where Newton's method did not arrive.
    """
    size, weight, curvature, room = zip(*items, strict=True)
    most_t = 0.0
    point = list(map(min, size, room))
    if sum(map(mul, weight, point)) > budget:
        most_t = knapsack_multiplier_row(size, weight, [0.0] * len(size), room, budget, 0.0)
        point = [min(max(y - most_t * w, 0.0), up) for y, w, _, up in items]
    if sum(q * x * x for q, x in zip(curvature, point, strict=True)) <= square:
        return point
    most_m = _second_alone(items, square, eps)
    if most_m is None:
        return None
    point = [min(y / (1 + most_m * q), up) for y, _, q, up in items]
    if sum(map(mul, weight, point)) <= budget:
        return point
    return _both(items, budget, square, most_t, most_m, eps)


def _second_alone(items: Items, square: float, eps: float) -> float | None:
    """The m that ``sum q x^2 = square`` needs without the other constraint."""
    # Where a coordinate leaves its end of the box; below the first of them nothing changes with m.
    leaves = [(y - up) / (up * q + TINY) for y, _, q, up in items]
    m = max(min(leaves), 0.0)
    for _ in range(ROUNDS):
        value = slope = 0.0
        for (y, _, q, up), leave in zip(items, leaves, strict=True):
            if leave > m:
                value += q * up * up
                continue
            divisor = 1 + m * q
            x = y / divisor
            bent = q * x
            slope += bent * bent / divisor
            value += bent * x
        if abs(value - square) <= CLOSE * eps * square:
            return m
        if not slope:
            return None
        m = max(m + value * (math.sqrt(value / square) - 1) / slope, SHY * m)
    return None


def _both(items: Items, budget: float, square: float, most_t: float, most_m: float, eps: float) -> list[float] | None:
    """The point where both constraints are active, by Newton's method on both multipliers, as ``multipliers._both``."""
    t, m = most_t / 2, most_m / 2
    for _ in range(ROUNDS):
        point = []
        over, value, first, cross, second = -budget, 0.0, 0.0, 0.0, 0.0
        for y, w, q, up in items:
            divisor = 1 + m * q
            x = min(max((y - t * w) / divisor, 0.0), up)
            bent = q * x
            over += w * x
            value += bent * x
            if 0 < x < up:
                first += w * w / divisor
                cross += w * bent / divisor
                second += bent * bent / divisor
            point.append(x)
        if abs(over) <= CLOSE * eps * budget and abs(value - square) <= CLOSE * eps * square:
            return point
        determinant = first * second - cross * cross
        if not determinant > 1e-10 * first * second:
            return None
        above = value * (math.sqrt(value / square) - 1)
        t = min(max(t + (second * over - cross * above) / determinant, SHY * t), SHY * t + (1 - SHY) * most_t)
        m = min(max(m + (first * above - cross * over) / determinant, SHY * m), SHY * m + (1 - SHY) * most_m)
    return None
