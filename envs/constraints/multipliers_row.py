"""The two multipliers of ``multipliers.py`` for one action in plain numbers: at this size any array call costs more.

Comparisons replace min and max, which are calls as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

from envs.constraints.knapsack import TINY, knapsack_multiplier_row
from envs.constraints.multipliers import SHY

# The most Newton steps before a safer method takes over.
ROUNDS = 10
# The distance to the bounds, relative to them, at which one more Newton step may leave only rounding.
NEAR = 1e-6
# Rounding error, in eps of a bound: less than the margin that results keep.
CLOSE = 4.0

# Size, weight, curvature and room of each coordinate.
Items = Sequence[tuple[float, float, float, float]]
# ``w . x``, ``sum q x^2`` and the slopes first, cross and second of ``multipliers.State``.
Sums = tuple[float, float, float, float, float]


def nearest_row(items: Items, budget: float, square: float, eps: float) -> list[float] | None:
    """The nearest point under ``w . x <= budget`` and ``sum q x^2 <= square``, if that of the box is infeasible.

    Newton's method from 0 mostly converges in four steps. Otherwise it restarts between 0 and each multiplier without
    the other constraint, and stays in that range.

    Args:
        items: Size, weight, curvature and room of each coordinate, as in ``multipliers.Problem``.
        budget: Bound of ``w . x``.
        square: Bound of ``sum q x^2``.
        eps: Distance from 1 to the next number.

    Returns:
        (n,), which exceeds no bound by more than ``CLOSE * eps`` of it, or None if Newton's method did not converge.
    """
    found = _newton(items, budget, square, eps, _start(items, budget, square), None)
    if found is not None:
        return found
    size, weight, _, room = zip(*items, strict=True)
    most_t = knapsack_multiplier_row(size, weight, [0.0] * len(size), room, budget, 0.0)
    most_m = _second_alone(items, square, eps)
    if most_m is None:
        return None
    for t, m in ((most_t, 0.0), (0.0, most_m)):
        point = _checked(items, budget, square, eps, t, m)
        if point is not None:
            return point
    return _newton(items, budget, square, eps, (most_t / 2, most_m / 2), (most_t, most_m))


def _newton(
    items: Items, budget: float, square: float, eps: float, start: tuple[float, float], most: tuple[float, float] | None
) -> list[float] | None:
    """The nearest point by Newton's method on t and m at once, if it converges to the conditions of optimality.

    It starts at t and m in ``start``. These stay between 0 and ``most``, away from both ends; if ``most`` is None, one
    of them may be 0.
    """
    t, m = start
    for _ in range(ROUNDS):
        sums = _look(items, t, m)
        near = _met(sums[0] - budget, NEAR * budget, t) and _met(sums[1] - square, NEAR * square, m)
        next_t, next_m = _step(t, m, sums, budget, square)
        if near and (point := _checked(items, budget, square, eps, next_t, next_m)) is not None:
            return point
        if most is not None:
            next_t = min(max(next_t, SHY * t), SHY * t + (1 - SHY) * most[0])
            next_m = min(max(next_m, SHY * m), SHY * m + (1 - SHY) * most[1])
        t, m = next_t, next_m
    return None


def _checked(items: Items, budget: float, square: float, eps: float, t: float, m: float) -> list[float] | None:
    """The point at these multipliers, if they are right up to rounding."""
    _, weight, curvature, _ = zip(*items, strict=True)
    point = [(x if (x := z / (1 + m * q)) < up else up) if (z := y - t * w) > 0 else 0.0 for y, w, q, up in items]
    over = sum(map(mul, weight, point)) - budget
    above = sum(map(mul, curvature, map(mul, point, point))) - square
    return point if _met(over, CLOSE * eps * budget, t) and _met(above, CLOSE * eps * square, m) else None


def _met(over: float, close: float, multiplier: float) -> bool:
    """Whether a bound is met, and reached if its multiplier is not 0."""
    return over <= close and (over >= -close or not multiplier)


def _start(items: Items, budget: float, square: float) -> tuple[float, float]:
    """Newton's first step for m from 0, which needs no division, and the t for the budget there."""
    value = slope = 0.0
    for y, _, q, up in items:
        x = y if y < up else up
        bent = q * x
        value += bent * x
        slope += bent * bent
    m = value * (math.sqrt(value / square) - 1) / slope if value > square else 0.0
    over, first = -budget, 0.0
    for y, w, q, _ in items:
        pull = w / (1 + m * q)
        over += pull * y
        first += pull * w
    return over / first if over > 0 else 0.0, m


def _second_alone(items: Items, square: float, eps: float) -> float | None:
    """The m for ``sum q x^2 = square`` without the other constraint."""
    # The m at which coordinates leave their end of the box; below the first one nothing changes with m.
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


def _look(items: Items, t: float, m: float) -> Sums:
    """The sums and slopes of ``multipliers.State`` at these multipliers."""
    spent = value = first = cross = second = 0.0
    for y, w, q, up in items:
        x = y - t * w
        if x <= 0:
            continue
        divisor = 1 + m * q
        x /= divisor
        if x >= up:
            spent += w * up
            value += q * up * up
            continue
        bent, pull = q * x, w / divisor
        spent += w * x
        value += bent * x
        first += w * pull
        cross += bent * pull
        second += bent * bent / divisor
    return spent, value, first, cross, second


def _step(t: float, m: float, sums: Sums, budget: float, square: float) -> tuple[float, float]:
    """Newton's next multipliers, at least 0."""
    spent, value, first, cross, second = sums
    # The nearly linear equations are those of w . x / budget and sqrt(sum q x^2 / square) with 1 / (1 + m q).
    stretch = math.sqrt(value / square)
    over, above = spent - budget, value * (stretch - 1)
    one, other = cross * budget / max(spent, budget), cross * stretch
    determinant = first * second - one * other
    if determinant > 1e-10 * first * second:
        next_t = t + (second * over - one * above) / determinant
        next_m = m + (first * above - other * over) / determinant
        if next_t > 0 and next_m > 0:
            return next_t, next_m
        second_alone = next_t <= 0
    else:
        second_alone = above * budget > over * square
    if second_alone:
        return 0.0, max(m + above / second, 0.0) if second else 0.0
    return max(t + over / first, 0.0) if first else 0.0, 0.0
