"""Sentential decision diagrams of linear constraints on integers in binary, and the variable trees below them.

A tree is a spine over coordinates with a balanced tree over the bits of each; a diagram is built bottom-up over partial
sums.
"""

from __future__ import annotations

import functools
import itertools
import operator
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from pysdd.sdd import SddManager, SddNode, Vtree

from envs.errors import UserError

SENSES = ("=", "<=", ">=")
# Pairs of a partial sum and a value; a hundred times as many as BSS-5 has, some minutes.
MOST_TRANSITIONS = 2_000_000

# A variable, or two trees.
Shape: TypeAlias = "int | tuple[Shape, Shape]"
# The remaining sum for the coordinates from one on, None where they cannot meet it.
Settle = Callable[[int, int], int | None]
# For each remaining sum: which values of the coordinate lead to which remaining sum.
Transitions = dict[int, dict[int, list[int]]]


@dataclass
class BitTree:
    """Nodes by their position in order, which is how the library numbers them: what is left of a node comes before it.

    Attributes:
        order: All positions, parents before children; the first is the root.
        left: Left child of each inner node.
        right: Right child of each inner node.
        variable: Variable of each leaf, from 1.
    """

    order: list[int] = field(default_factory=list)
    left: dict[int, int] = field(default_factory=dict)
    right: dict[int, int] = field(default_factory=dict)
    variable: dict[int, int] = field(default_factory=dict)

    def export(self) -> Vtree:
        """The same tree for the library, which takes trees of one's own from files alone."""
        lines = [f"vtree {len(self.order)}"]
        for node in reversed(self.order):
            if node in self.variable:
                lines.append(f"L {node} {self.variable[node]}")
            else:
                lines.append(f"I {node} {self.left[node]} {self.right[node]}")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tree.vtree"
            path.write_text("\n".join(lines) + "\n")
            return Vtree.from_file(str(path))

    def grow(self, shape: Shape, position: int) -> tuple[int, int]:
        """Add a tree whose first node in order is at ``position``; its root, and the position after its last node."""
        place = len(self.order)
        self.order.append(position)
        if isinstance(shape, int):
            self.variable[position] = shape
            return position, position + 1
        left, root = self.grow(shape[0], position)
        self.order[place], self.left[root] = root, left
        self.right[root], after = self.grow(shape[1], root + 1)
        return root, after


def bit_tree(bits: Sequence[int]) -> BitTree:
    """The tree for coordinates of these numbers of bits, 1 or more each.

    Right-linear over coordinates: below the node of coordinate i, its own bits lie left, all later coordinates right. A
    decision there is on the whole value of a_i, and what follows depends on the remaining sum alone, so a diagram of a
    linear constraint has at most one such node for each partial sum. Balanced within, since of a single number's bits
    none should come last.
    """
    ends = list(itertools.accumulate(bits, initial=1))
    *others, last = (_balanced(range(start, end)) for start, end in itertools.pairwise(ends))
    shape = functools.reduce(lambda right, left: (left, right), reversed(others), last)
    tree = BitTree()
    tree.grow(shape, 0)
    return tree


def _balanced(variables: range) -> Shape:
    half = len(variables) // 2
    return (_balanced(variables[:half]), _balanced(variables[half:])) if half else variables[0]


def value_nodes(manager: SddManager, bits: Sequence[int], upper: Sequence[int]) -> list[list[SddNode]]:
    """For each coordinate the diagrams of ``a_i = 0, ..., a_i = u_i`` over its bits, least significant first."""
    values = []
    first = itertools.accumulate(bits, initial=1)
    for start, count, most in zip(first, bits, upper, strict=False):
        numbers = range(most + 1)
        signs = [[1 if number >> bit & 1 else -1 for bit in range(count)] for number in numbers]
        values.append(
            [
                functools.reduce(operator.and_, [manager.literal(s * (start + bit)) for bit, s in enumerate(row)])
                for row in signs
            ]
        )
    return values


def plan_sum(coefficients: Sequence[int], sense: str, bound: int, largest: Sequence[int]) -> list[Transitions]:
    """What the diagram of ``sum_i c_i a_i (sense) bound`` with whole ``0 <= a_i <= u_i`` is made from.

    Dynamic programming: what coordinates i, i+1, ... may do depends on the coordinates before them through the sum that
    they leave alone, so there is one diagram for each i and remaining sum, made from those of i + 1. Never are points
    listed.

    Args:
        coefficients: (n,).
        sense: One of :data:`SENSES`.
        bound: Right-hand side.
        largest: u, (n,).

    Returns:
        For each coordinate, every remaining sum that can be met before it, and where its values lead; empty if no
        point satisfies the constraint.

    Raises:
        UserError: If there are too many partial sums, before they are listed.
    """
    if sense == ">=":
        return plan_sum([-c for c in coefficients], "<=", -bound, largest)
    extremes = [(min(0, c * u), max(0, c * u)) for c, u in zip(coefficients, largest, strict=True)]
    least, most = (_suffix_sums(numbers) for numbers in zip(*extremes, strict=True))

    def settle(rest: int, coordinate: int) -> int | None:
        if rest < least[coordinate] or (sense == "=" and rest > most[coordinate]):
            return None
        # More room than they can use is the same as just enough, which keeps the number of different sums small.
        return min(rest, most[coordinate])

    start = settle(bound, 0)
    return [] if start is None else _transitions(start, coefficients, largest, settle)


def _transitions(start: int, coefficients: Sequence[int], largest: Sequence[int], settle: Settle) -> list[Transitions]:
    levels: list[Transitions] = []
    # Values of each coordinate; after the last one there is nothing to decide.
    values = [most + 1 for most in largest] + [0]
    work = values[0]
    _refuse_if_large(work)
    rests = {start}
    for coordinate, coefficient in enumerate(coefficients):
        level: Transitions = {}
        afters: set[int] = set()
        for rest in sorted(rests):
            branches = level.setdefault(rest, {})
            for value in range(values[coordinate]):
                after = settle(rest - coefficient * value, coordinate + 1)
                if after is not None:
                    branches.setdefault(after, []).append(value)
                    afters.add(after)
                    _refuse_if_large(work + len(afters) * values[coordinate + 1])
        work += len(afters) * values[coordinate + 1]
        levels.append(level)
        rests = afters
    return levels


def _refuse_if_large(work: int) -> None:
    if work > MOST_TRANSITIONS:
        raise UserError(
            f"psdd: over {MOST_TRANSITIONS:,} pairs of a partial sum and a value; divide coefficients and bound by "
            "a common factor, or lower the limits"
        )


def compile_sum(manager: SddManager, values: Sequence[Sequence[SddNode]], plan: Sequence[Transitions]) -> SddNode:
    """The diagram of a sum from its plan, of :func:`plan_sum`, and the nodes of :func:`value_nodes`."""
    if not plan:
        return manager.false()
    below = {0: manager.true()}
    for nodes, level in zip(reversed(values), reversed(plan), strict=True):
        below = {rest: _decide(manager, nodes, branches, below) for rest, branches in level.items()}
    (diagram,) = below.values()
    return diagram


def _decide(
    manager: SddManager, nodes: Sequence[SddNode], branches: dict[int, list[int]], below: dict[int, SddNode]
) -> SddNode:
    """The coordinate takes one of a branch's values, and the later ones meet what that leaves."""
    parts = (_any(manager, (nodes[value] for value in values)) & below[rest] for rest, values in branches.items())
    return _any(manager, parts)


def _any(manager: SddManager, nodes: Iterable[SddNode]) -> SddNode:
    return functools.reduce(operator.or_, nodes, manager.false())


def _suffix_sums(numbers: Iterable[int]) -> list[int]:
    """Sums of the numbers from each on, and 0 at the end."""
    return list(itertools.accumulate(reversed(list(numbers)), initial=0))[::-1]
