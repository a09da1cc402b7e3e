"""The multiplier of a quadratic constraint: the root of ``value(m) = target`` for a value that falls with m.

Newton's method is applied to ``1/sqrt(value)``, which is nearly linear in m (Hebden 1973; More and Sorensen 1983).
"""

from __future__ import annotations

from collections.abc import Callable

from envs.constraints.arrays import some
from envs.constraints.knapsack import TINY, Array, Namespace

# The most rounds, far more than were ever needed.
ROUNDS = 100
# After this many rounds the bracket is halved, whatever Newton's step says.
HALVE_EVERY = 8

# Returns value >= 0 and its slope -d value/dm >= 0, each (B, 1), at multipliers (B, 1).
Evaluate = Callable[[Array], tuple[Array, Array]]


def rising_root(xp: Namespace, evaluate: Evaluate, start: Array, target: Array | float, eps: float) -> Array:
    """The root from below, for sums of ``c / (1 + m q)^2``: their ``1/sqrt`` is concave, so no step overshoots.

    Args:
        xp: Array namespace.
        evaluate: The value and its slope.
        start: (B, 1), no larger than the root; it is the result if the value there is at most the target.
        target: Positive, (B, 1) or a number.
        eps: Relative size of a step that counts as rounding.

    Returns:
        (B, 1).
    """
    m = start
    for _ in range(ROUNDS):
        value, slope = evaluate(m)
        step = newton_step(xp, value, slope, target)
        rising = step > 4 * eps * m
        if not some(rising):
            break
        m = xp.where(rising, m + step, m)
    return m


def bracketed_root(xp: Namespace, evaluate: Evaluate, high: Array, target: float, eps: float) -> Array:
    """The root between 0 and ``high`` of any value that falls with m.

    Newton's step is taken if it stays in the bracket, otherwise the chord's; every eighth round halves the bracket. It
    therefore needs at most eight rounds per bit, and in practice five to fifteen rounds are enough.

    Args:
        xp: Array namespace.
        evaluate: The value and its slope.
        high: (B, 1), not negative, where the value is at most the target.
        target: Positive.
        eps: Relative size of a difference from the target that counts as rounding.

    Returns:
        (B, 1), 0 if the value at 0 is at most the target.
    """
    goal, close = target**-0.5, 16 * eps * target
    low = m = 0 * high
    value, slope = evaluate(low)
    going = value > target + close
    least = most = _flat(xp, value)
    for attempt in range(ROUNDS * HALVE_EVERY):
        if not some(going):
            break
        chord = low + (high - low) * (goal - least) / xp.where(most > least, most - least, 1.0)
        newton = m + newton_step(xp, value, slope, target)
        onward = xp.where((low < newton) & (newton < high), newton, chord)
        halving = attempt % HALVE_EVERY == HALVE_EVERY - 1
        inside = (low < onward) & (onward < high) & (not halving)
        m = xp.where(going, high if attempt == 0 else xp.where(inside, onward, (low + high) / 2), m)
        value, slope = evaluate(m)
        flat, above = _flat(xp, value), value > target
        low, least = xp.where(above, m, low), xp.where(above, flat, least)
        high, most = xp.where(above, high, m), xp.where(above, most, flat)
        going = going & (xp.abs(value - target) > close) & (high - low > 4 * eps * high)
    return m


def _flat(xp: Namespace, value: Array) -> Array:
    return 1 / xp.sqrt(xp.maximum(value, TINY))


def newton_step(xp: Namespace, value: Array, slope: Array, target: Array | float) -> Array:
    """Newton's step for ``1/sqrt(value) = 1/sqrt(target)``: (B, 1); 0 if the value does not change with m."""
    return 2 * value * (xp.sqrt(xp.maximum(value, 0.0) / target) - 1) / xp.where(slope > 0, slope, xp.inf)
