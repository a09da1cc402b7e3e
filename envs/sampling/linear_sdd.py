"""Sentential decision diagrams of linear constraints on integers, built bottom-up over partial sums."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterable, Sequence

from pysdd.sdd import SddManager, SddNode

from envs.errors import UserError

SENSES = ("=", "<=", ">=")
# Pairs of a partial sum and a value; a hundred times as many as BSS-5 has, some minutes.
MOST_TRANSITIONS = 2_000_000

# For each remaining sum: which values of the coordinate lead to which remaining sum.
Transitions = dict[int, dict[int, list[int]]]


def value_nodes(manager: SddManager, bits: Sequence[int], upper: Sequence[int]) -> list[list[SddNode]]:
    """For each coordinate the diagrams of ``a_i = 0, ..., a_i = u_i`` over its bits, least significant first."""
    values = []
    first = itertools.accumulate(bits, initial=1)
    for start, count, most in zip(first, bits, upper, strict=False):
        numbers = range(most + 1)
        signs = [[1 if number >> bit & 1 else -1 for bit in range(count)] for number in numbers]
        values.append([_all(manager.literal(s * (start + bit)) for bit, s in enumerate(row)) for row in signs])
    return values


def compile_sum(
    manager: SddManager, values: Sequence[Sequence[SddNode]], coefficients: Sequence[int], sense: str, bound: int
) -> SddNode:
    """The diagram of ``sum_i c_i a_i (sense) bound`` with every a_i among its values.

    Dynamic programming: what coordinates i, i+1, ... may do depends on the coordinates before them through the sum that
    they leave alone, so there is one diagram for each i and remaining sum, made from those of i + 1. Never are points
    listed.

    Args:
        manager: Of the diagrams.
        values: From :func:`value_nodes`.
        coefficients: (n,).
        sense: One of :data:`SENSES`.
        bound: Right-hand side.

    Raises:
        UserError: If there are too many partial sums.
    """
    if sense == ">=":
        return compile_sum(manager, values, [-c for c in coefficients], "<=", -bound)
    largest = [len(nodes) - 1 for nodes in values]
    reach = _Reach(coefficients, largest, exact=sense == "=")
    start = reach.settle(bound, 0)
    if start is None:
        return manager.false()
    levels = _transitions(start, coefficients, largest, reach)
    below = {0: manager.true()}
    for nodes, level in zip(reversed(values), reversed(levels), strict=True):
        below = {rest: _decide(manager, nodes, branches, below) for rest, branches in level.items()}
    return below[start]


class _Reach:
    """What the coordinates from some point on can add up to."""

    def __init__(self, coefficients: Sequence[int], largest: Sequence[int], exact: bool) -> None:
        pairs = list(zip(coefficients, largest, strict=True))
        self._least = _suffix_sums(min(0, c * u) for c, u in pairs)
        self._most = _suffix_sums(max(0, c * u) for c, u in pairs)
        self._exact = exact

    def settle(self, rest: int, coordinate: int) -> int | None:
        """The remaining sum for coordinates from ``coordinate`` on, None where they cannot meet it.

        More room than they can use is the same as just enough, which keeps the number of different sums small.
        """
        if rest < self._least[coordinate] or (self._exact and rest > self._most[coordinate]):
            return None
        return min(rest, self._most[coordinate])


def _transitions(start: int, coefficients: Sequence[int], largest: Sequence[int], reach: _Reach) -> list[Transitions]:
    """Every remaining sum that can be met before each coordinate, and where its values lead."""
    levels: list[Transitions] = []
    rests, work = {start}, 0
    for coordinate, (coefficient, most) in enumerate(zip(coefficients, largest, strict=True)):
        work += len(rests) * (most + 1)
        if work > MOST_TRANSITIONS:
            raise UserError(
                f"psdd: over {MOST_TRANSITIONS:,} pairs of a partial sum and a value; divide coefficients and bound by "
                "a common factor, or lower the limits"
            )
        level: Transitions = {}
        for rest in sorted(rests):
            branches = level.setdefault(rest, {})
            for value in range(most + 1):
                after = reach.settle(rest - coefficient * value, coordinate + 1)
                if after is not None:
                    branches.setdefault(after, []).append(value)
        levels.append(level)
        rests = {after for branches in level.values() for after in branches}
    return levels


def _decide(
    manager: SddManager, nodes: Sequence[SddNode], branches: dict[int, list[int]], below: dict[int, SddNode]
) -> SddNode:
    """The coordinate takes one of a branch's values, and the later ones meet what that leaves."""
    parts = (_any(manager, (nodes[value] for value in values)) & below[rest] for rest, values in branches.items())
    return _any(manager, parts)


def _all(nodes: Iterable[SddNode]) -> SddNode:
    return functools.reduce(operator.and_, nodes)


def _any(manager: SddManager, nodes: Iterable[SddNode]) -> SddNode:
    return functools.reduce(operator.or_, nodes, manager.false())


def _suffix_sums(numbers: Iterable[int]) -> list[int]:
    """Sums of the numbers from each on, and 0 at the end."""
    return list(itertools.accumulate(reversed(list(numbers)), initial=0))[::-1]
