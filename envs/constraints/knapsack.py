"""Two classical problems with one linear constraint, solved exactly for a batch of rows.

Both are usually solved by sorting. Here n is at most a dozen, so batches compare every breakpoint with every coordinate
instead. That takes O(n^2) arithmetic, but no gather, scatter or loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import Any

import numpy as np
from torch import Tensor

# The array API has no static types yet: an array is a NumPy array or a torch tensor, a namespace the module for it.
Array = Any
Namespace = Any
Row = Sequence[float]

# Added to divisors that may be zero. It is far below every weight that matters, and neither its inverse nor the
# product of that with an action overflows, in float32 either.
TINY = 1e-20


def constant(array: Array) -> Array:
    """The same numbers, cut off from torch's graph."""
    return array.detach() if isinstance(array, Tensor) else array


def quadratic_knapsack(
    xp: Namespace, target: Array, weight: Array, lower: Array, upper: Array, budget: Array | float, least: float
) -> Array:
    """The point of ``{x : weight . x = budget, lower <= x <= upper}`` nearest to ``target``.

    It is ``x_i(t) = clip(target_i - t weight_i)`` for one multiplier t. The sum ``weight . x(t)`` falls with t and is
    linear between 2n breakpoints, at which a coordinate leaves its upper or reaches its lower end. The last breakpoint
    at which the sum is still too large tells which coordinates are free, and these give t in closed form (Brucker 1984;
    for the simplex Held, Wolfe and Crowder 1974, Duchi et al. 2008).

    Args:
        xp: Array namespace.
        target: (B, n).
        weight: (B, n) or (1, n), not negative.
        lower: (B, n) or (1, n), at most ``upper``.
        upper: (B, n) or (1, n).
        budget: Value of the sum, a number or (B, 1).
        least: A known lower bound of t, such as 0 if the constraint is ``<= budget``.

    Returns:
        (B, n), differentiable in ``target`` and ``weight`` wherever no coordinate sits at a breakpoint.
    """
    if isinstance(target, np.ndarray):
        repeats = len(target)
        columns = [x.tolist() * (repeats if len(x) == 1 else 1) for x in (target, weight, lower, upper)]
        budgets = [budget] * repeats if isinstance(budget, float) else budget[:, 0].tolist()
        rows = zip(*columns, budgets, strict=True)
        nearest = [quadratic_knapsack_row(t, w, low, up, wanted, least) for t, w, low, up, wanted in rows]
        return np.array(nearest, dtype=target.dtype)
    multiplier = knapsack_multiplier(xp, target, weight, lower, upper, budget, least)
    return xp.minimum(xp.maximum(target - multiplier * weight, lower), upper)


def knapsack_multiplier(
    xp: Namespace, target: Array, weight: Array, lower: Array, upper: Array, budget: Array | float, least: float
) -> Array:
    """The multiplier t of :func:`quadratic_knapsack`, by the formula for arrays: (B, 1)."""
    t, w = constant(target), constant(weight)
    divisor = w + TINY
    leaves, arrives = (t - upper) / divisor, (t - lower) / divisor
    knots = xp.concat([leaves, arrives], axis=1)
    moved = t[:, None, :] - knots[:, :, None] * w[:, None, :]
    clipped = xp.minimum(xp.maximum(moved, lower[:, None, :]), upper[:, None, :])
    spent = xp.vecdot(clipped, w[:, None, :])
    start = xp.max(xp.where(spent >= budget, knots, least), axis=1, keepdims=True)

    # Compare with the breakpoints themselves: the coordinates there are only known up to rounding.
    free = (leaves <= start) & (start < arrives)
    held = xp.where(leaves > start, upper, lower)
    excess = xp.vecdot(weight, xp.where(free, target, held))[:, None] - budget
    slope = xp.vecdot(weight * free, weight)[:, None]
    # If none is free, the sum is constant up to the next breakpoint and equals the budget already. Where t is not from
    # the closed form, the quotient must not be in the graph: its gradient overflows where the weights are small.
    rises = constant(slope) > 0
    rises = rises & (constant(excess) / xp.where(rises, constant(slope), 1.0) > start)
    return xp.where(rises, excess / xp.where(rises, slope, 1.0), start)


def quadratic_knapsack_row(
    target: Row, weight: Row, lower: Row, upper: Row, budget: float, least: float
) -> list[float]:
    """:func:`quadratic_knapsack` for one row in plain numbers."""
    multiplier = knapsack_multiplier_row(target, weight, lower, upper, budget, least)
    items = zip(target, weight, lower, upper, strict=True)
    return [low if (x := t - multiplier * w) < low else min(x, up) for t, w, low, up in items]


def knapsack_multiplier_row(target: Row, weight: Row, lower: Row, upper: Row, budget: float, least: float) -> float:
    """The multiplier t for one row in plain numbers, by sorting: at this size any array call costs more."""
    items = list(zip(target, weight, lower, upper, strict=True))
    events = [((t - up) / (w + TINY), w * (t - up), w * w) for t, w, _, up in items]
    events += [((t - low) / (w + TINY), w * (low - t), -w * w) for t, w, low, _ in items]
    events.sort()

    # Between breakpoints the excess over the budget is the line ``value - slope t``.
    value, slope, start = sum(map(mul, weight, upper)) - budget, 0.0, least
    for knot, value_change, slope_change in events:
        if value < slope * knot:
            break
        start = knot
        value += value_change
        slope += slope_change

    # Recompute from the terms, since the walk has accumulated rounding.
    start = max(start, least)
    value, slope = -budget, 0.0
    for t, w, low, up in items:
        if (t - up) / (w + TINY) > start:
            value += w * up
        elif (t - low) / (w + TINY) <= start:
            value += w * low
        else:
            value += w * t
            slope += w * w
    return max(value / slope, start) if slope else start


def fractional_knapsack(xp: Namespace, gain: Array, cost: Array, budget: Array | float) -> Array:
    """Shares in [0, 1] that maximise ``sum_i share_i cost_i gain_i`` under ``sum_i share_i cost_i <= budget``.

    Items are taken whole in descending order of gain, the last one in part (Dantzig 1957).

    Args:
        xp: Array namespace.
        gain: (B, n), gain per unit of cost; ties are taken in order of index.
        cost: (B, n) or (1, n), not negative.
        budget: Largest total cost, not negative; a number or (B, 1).

    Returns:
        (B, n).
    """
    spent_before = xp.sum(xp.where(ahead(xp, gain), cost[:, None, :], 0.0), axis=2)
    left = budget - spent_before
    in_part = (left > 0) & (left < cost)
    whole = xp.where(left > 0, xp.ones_like(left), xp.zeros_like(left))
    # Only the last item's cost divides, so the gradient is finite where others cost nothing.
    return xp.where(in_part, left / xp.where(in_part, cost, 1.0), whole)


def ahead(xp: Namespace, key: Array) -> Array:
    """Whether j comes before i in descending order of ``key`` (B, n), with ties by index, at [b, i, j]: (B, n, n)."""
    mine, other = key[:, :, None], key[:, None, :]
    index = xp.arange(key.shape[1], device=key.device)
    return (other > mine) | ((other == mine) & (index[None, None, :] < index[None, :, None]))
