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
    parts = [((y - up) / (up * q + TINY), y, q, q * up * up) for y, _, q, up in items]
    m = max(min(parts)[0], 0.0)
    close = CLOSE * eps * square
    for _ in range(ROUNDS):
        value = slope = 0.0
        for leave, y, q, held in parts:
            if leave > m:
                value += held
                continue
            divisor = 1 + m * q
            x = y / divisor
            bent = q * x
            slope += bent * bent / divisor
            value += bent * x
        if abs(value - square) <= close:
            return m
        if not slope:
            return None
        m = max(m + value * (math.sqrt(value / square) - 1) / slope, SHY * m)
    return None


def _both(items: Items, budget: float, square: float, most_t: float, most_m: float, eps: float) -> list[float] | None:
    """The point where both constraints are active, by Newton's method on both multipliers, as ``multipliers._both``."""
    t, m = most_t / 2, most_m / 2
    close_budget, close_square = CLOSE * eps * budget, CLOSE * eps * square
    for _ in range(ROUNDS):
        over, value, first, cross, second = -budget, 0.0, 0.0, 0.0, 0.0
        for y, w, q, up in items:
            x = y - t * w
            if x <= 0:
                continue
            divisor = 1 + m * q
            x /= divisor
            if x >= up:
                over += w * up
                value += q * up * up
                continue
            bent, pull = q * x, w / divisor
            over += w * x
            value += bent * x
            first += w * pull
            cross += bent * pull
            second += bent * bent / divisor
        if abs(over) <= close_budget and abs(value - square) <= close_square:
            return [min(max((y - t * w) / (1 + m * q), 0.0), up) for y, w, q, up in items]
        determinant = first * second - cross * cross
        if not determinant > 1e-10 * first * second:
            return None
        above = value * (math.sqrt(value / square) - 1)
        t = min(max(t + (second * over - cross * above) / determinant, SHY * t), SHY * t + (1 - SHY) * most_t)
        m = min(max(m + (first * above - cross * over) / determinant, SHY * m), SHY * m + (1 - SHY) * most_m)
    return None
