"""The support point of ``support.py`` for one gradient in plain numbers: at this size any array call costs more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

from envs.constraints.knapsack import TINY
from envs.constraints.support import SHORT

# Guesses at which coordinates are free, after which something surer is to decide.
ROUNDS = 8

# Gain, weight, curvature and room of each coordinate, as in ``support.find_support``.
Items = Sequence[tuple[float, float, float, float]]


def support_row(items: Items, budget: float, square: float) -> list[float] | None:
    """The point of ``w . x <= budget``, ``sum q x^2 <= square`` and ``0 <= x <= room`` with the largest ``g . x``.

    Args:
        items: Gain, weight, curvature and room of each coordinate.
        budget: Bound of ``w . x``.
        square: Bound of ``sum q x^2``.

    Returns:
        (n,), or None where neither the multipliers nor the first constraint alone gives the answer to rounding.
    """
    point = _certain(items, budget, square, _guessed(items, budget, square))
    if point is not None:
        return point
    point = _first_alone(items, budget)
    if _sums(items, point)[1] <= square:
        return point
    return _certain(items, budget, square, _enclosed(items, budget, square))


def _certain(items: Items, budget: float, square: float, multipliers: tuple[float, float] | None) -> list[float] | None:
    """The point of t and the scale s, if its value is the largest to rounding, by duality."""
    if multipliers is None:
        return None
    t, scale = multipliers
    # Comparisons cost a quarter of what calls of min and max do.
    point = [
        (x if (x := h / (q + TINY)) < up else up) if (h := scale * (g - t * w)) > 0 else 0.0 for g, w, q, up in items
    ]
    spent, value, gained = _sums(items, point)
    gap = t * abs(budget - spent) + abs(square - value) / (2 * scale)
    inside = min(budget / (spent + TINY), math.sqrt(square / (value + TINY)), 1.0)
    # Written so that NaN, from numbers too large to be squared, is refused as well.
    if not gap <= (inside - 1 + SHORT) * gained:
        return None
    return [inside * x for x in point] if inside < 1 else point


def _sums(items: Items, point: list[float]) -> tuple[float, float, float]:
    """``w . x``, ``sum q x^2`` and ``g . x``."""
    gain, weight, curvature, _ = zip(*items, strict=True)
    square = sum(map(mul, curvature, map(mul, point, point)))
    return sum(map(mul, weight, point)), square, sum(map(mul, gain, point))


def _guessed(items: Items, budget: float, square: float) -> tuple[float, float] | None:
    """T and s, if guesses settle: free coordinates give the multipliers, and these which coordinates are free next."""
    terms = []
    for g, w, q, up in items:
        if g > 0:
            inverse = 1 / (q + TINY)
            terms.append((g, w, q * up, w * up, q * up * up, g * g * inverse, g * w * inverse, w * w * inverse))
    t, scale, last = 0.0, 0.0, (0.0, 0.0, 0.0)
    for _ in range(ROUNDS):
        second = cross = first = 0.0
        budget_left, square_left = budget, square
        for g, w, end, spent, value, gg, gw, ww in terms:
            moved = scale * (g - t * w)
            if moved < 0:
                continue
            if moved < end or not scale:
                second += gg
                cross += gw
                first += ww
            else:
                budget_left -= spent
                square_left -= value
        if (second, cross, budget_left) == last:
            return t, scale
        last = second, cross, budget_left
        found = _closed_form(second, cross, first, budget_left, square_left)
        if found is None:
            return None
        t, scale = found
    return None


def _closed_form(
    second: float, cross: float, first: float, budget_left: float, square_left: float
) -> tuple[float, float] | None:
    """T and s from sums over the free coordinates: of ``g^2 / q``, ``g w / q`` and ``w^2 / q``.

    Args:
        second: The first of the sums.
        cross: The second.
        first: The third.
        budget_left: What coordinates at their end of the box leave of the first bound.
        square_left: The same of the second.
    """
    if not (second > 0 and square_left > 0 and budget_left > 0):
        return None
    scale = math.sqrt(square_left / second)
    if scale * cross <= budget_left:
        return (0.0, scale) if scale else None
    apart, room_left = second * first - cross * cross, square_left * first - budget_left * budget_left
    if not (apart > 0 and room_left > 0):
        return None
    slope = budget_left * math.sqrt(apart / room_left)
    return ((cross - slope) / first, budget_left / slope) if slope <= cross else None


def _first_alone(items: Items, budget: float) -> list[float]:
    """The support point under ``w . x`` and the box alone: what gains most for its weight is taken first."""
    point = [0.0] * len(items)
    for _, i in sorted((-g / (w + TINY), i) for i, (g, w, _, _) in enumerate(items) if g > 0):
        _, w, _, up = items[i]
        point[i] = min(up, budget / (w + TINY))
        budget = max(budget - w * point[i], 0.0)
    return point


def _enclosed(items: Items, budget: float, square: float) -> tuple[float, float] | None:
    """T and s from the two values ``g_i / w_i`` that enclose t, as in ``support.py``."""
    leaves = [g / (w + TINY) for g, w, _, _ in items]
    grid = [0.0, *sorted(leaves)]
    low, high = 0, len(grid) - 1
    held_low, held_high = _held(items, leaves, 0.0, square)[1], set[int]()
    while high - low > 1:
        middle = (low + high) // 2
        spent, held = _held(items, leaves, grid[middle], square)
        if spent > budget:
            low, held_low = middle, held
        else:
            high, held_high = middle, held
    second = cross = first = 0.0
    for i, (g, w, q, up) in enumerate(items):
        if i in held_low and i in held_high:
            budget -= w * up
            square -= q * up * up
        elif leaves[i] > grid[low]:
            second += g * g / (q + TINY)
            cross += g * w / (q + TINY)
            first += w * w / (q + TINY)
    return _closed_form(second, cross, first, budget, square)


def _held(items: Items, leaves: list[float], t: float, square: float) -> tuple[float, set[int]]:
    """The ``w . x`` that t leaves under the sum of squares alone, and the coordinates at their end of the box.

    More of them can only let the others grow, so that they are found after as many rounds at the most.
    """
    left = {i: (g - t * w, w, q + TINY, up) for i, (g, w, q, up) in enumerate(items) if leaves[i] > t}
    spent, held = 0.0, set[int]()
    while left:
        scale = math.sqrt(max(square, 0.0) / (sum([h * h / q for h, _, q, _ in left.values()]) + TINY))
        ends = [i for i, (h, _, q, up) in left.items() if scale * h >= q * up]
        if not ends:
            return spent + scale * sum([h * w / q for h, w, q, _ in left.values()]), held
        for i in ends:
            _, w, q, up = left.pop(i)
            spent += w * up
            square -= q * up * up
            held.add(i)
    return spent, held
