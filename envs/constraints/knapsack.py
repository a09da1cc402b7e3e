"""Two classical problems with one linear constraint, solved exactly for a batch of rows.

Both are usually solved by sorting. Here n is at most a dozen, so that every breakpoint is compared with every
coordinate instead: O(n^2) arithmetic, but no gather, no scatter and no loop, in NumPy as in torch.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

# The array API has no static types yet: an array is a NumPy array or a torch tensor, a namespace the module for it.
Array = Any
Namespace = Any

# Added to divisors that may be zero. It is far below every weight that matters, and neither its inverse nor the
# product of that with an action overflows, in float32 either.
TINY = 1e-20


def constant(array: Array) -> Array:
    """The same numbers, cut off from torch's graph."""
    return array.detach() if isinstance(array, Tensor) else array


def quadratic_knapsack(
    xp: Namespace, target: Array, weight: Array, lower: Array, upper: Array, budget: float, least: float
) -> Array:
    """The multiplier t with ``sum_i weight_i x_i(t) = budget`` for ``x_i(t) = clip(target_i - t weight_i)``.

    That x(t) is the point of ``{x : weight . x = budget, lower <= x <= upper}`` nearest to ``target``. The sum falls
    with t and is linear between 2n breakpoints, at which a coordinate leaves its upper or reaches its lower end: the
    last breakpoint at which the sum is still too large names the coordinates that are free, and these give t in
    closed form (Brucker 1984; for the simplex Held, Wolfe and Crowder 1974, Duchi et al. 2008).

    Args:
        xp: Array namespace.
        target: (B, n).
        weight: (B, n) or (1, n), not negative.
        lower: (B, n) or (1, n), at most ``upper``.
        upper: (B, n) or (1, n).
        budget: Wanted value of the sum.
        least: A number that is known to be no larger than t, such as 0 where the constraint is ``<= budget``.

    Returns:
        (B, 1), differentiable in ``target`` and ``weight`` wherever no coordinate sits at a breakpoint.
    """
    t, w = constant(target), constant(weight)
    divisor = w + TINY
    leaves, arrives = (t - upper) / divisor, (t - lower) / divisor
    knots = xp.concat([leaves, arrives], axis=1)
    moved = t[:, None, :] - knots[:, :, None] * w[:, None, :]
    clipped = xp.minimum(xp.maximum(moved, lower[:, None, :]), upper[:, None, :])
    spent = xp.vecdot(clipped, w[:, None, :])
    start = xp.max(xp.where(spent >= budget, knots, least), axis=1, keepdims=True)

    # Compared with the breakpoints themselves: the coordinates at them are only known up to rounding.
    free = (leaves <= start) & (start < arrives)
    held = xp.where(leaves > start, upper, lower)
    excess = xp.vecdot(weight, xp.where(free, target, held))[:, None] - budget
    slope = xp.vecdot(weight * free, weight)[:, None]
    return xp.maximum(excess / (slope + (slope <= 0)), start)


def fractional_knapsack(xp: Namespace, gain: Array, cost: Array, budget: float) -> Array:
    """Shares in [0, 1] that maximise ``sum_i share_i cost_i gain_i`` under ``sum_i share_i cost_i <= budget``.

    Items are taken whole in falling order of gain, the last one in part (Dantzig 1957).

    Args:
        xp: Array namespace.
        gain: (B, n), gain for each unit of cost; equal gains are taken in order of their index.
        cost: (B, n) or (1, n), not negative.
        budget: What may be spent, not negative.

    Returns:
        (B, n).
    """
    spent_before = xp.sum(xp.where(ahead(xp, gain), cost[:, None, :], 0.0), axis=2)
    return xp.minimum(xp.maximum((budget - spent_before) / (cost + TINY), 0.0), 1.0)


def ahead(xp: Namespace, key: Array) -> Array:
    """Whether entry j comes before entry i in falling order of ``key`` (B, n), ties by index: (B, n, n) at [b, i, j]."""
    mine, other = key[:, :, None], key[:, None, :]
    index = xp.arange(key.shape[1], device=key.device)
    return (other > mine) | ((other == mine) & (index[None, None, :] < index[None, :, None]))
