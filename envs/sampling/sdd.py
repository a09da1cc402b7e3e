"""Sentential decision diagrams of linear constraints on binary integers, and their variable trees.

A tree is a spine over coordinates, with a balanced tree over the bits of each. A diagram is built bottom-up over
partial sums.
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
# The most pairs of a partial sum and a value: a hundred times those of BSS-5, which take some minutes.
MOST_TRANSITIONS = 2_000_000

# A variable, or a pair of trees.
Shape: TypeAlias = "int | tuple[Shape, Shape]"
# Maps a remaining sum to its normal form for the remaining coordinates, or None if they cannot meet it.
Settle = Callable[[int, int], int | None]
# For each remaining sum, the values of the coordinate that lead to each next remaining sum.
Transitions = dict[int, dict[int, list[int]]]


@dataclass
class BitTree:
    """Nodes by in-order position, which is the numbering of the library: left subtrees come before their node.

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
        """The tree for the library, which only reads custom trees from files."""
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
        """Add a tree whose first node is at ``position``; return its root and the position after its last node."""
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
    """The tree for coordinates with these numbers of bits, at least 1 each.

    It is right-linear over coordinates: below the node of coordinate i, its own bits are on the left, all later
    coordinates on the right. A decision there is on the whole value of a_i, and the rest only depends on the remaining
    sum, so the diagram of a linear constraint has at most one such node per partial sum. The bits of one coordinate
    form a balanced tree, since none of them should come last.
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
    """The diagrams of ``a_i = 0, ..., a_i = u_i`` over its bits, least significant first, for each coordinate."""
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
    """The plan for the diagram of ``sum_i c_i a_i (sense) bound`` with whole ``0 <= a_i <= u_i``.

    By dynamic programming: coordinates i, i+1, ... only depend on earlier ones through the remaining sum, so there is
    one diagram for each i and remaining sum, made from those of i + 1. Points are never listed.

    Args:
        coefficients: (n,).
        sense: One of :data:`SENSES`.
        bound: Right-hand side.
        largest: u, (n,).

    Returns:
        For each coordinate, every remaining sum that can occur before it, and where its values lead; empty if no point
        satisfies the constraint.

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
        # More room than the rest can use counts as just enough, which keeps the number of distinct sums small.
        return min(rest, most[coordinate])

    start = settle(bound, 0)
    return [] if start is None else _transitions(start, coefficients, largest, settle)


def _transitions(start: int, coefficients: Sequence[int], largest: Sequence[int], settle: Settle) -> list[Transitions]:
    levels: list[Transitions] = []
    # Values of each coordinate; nothing remains after the last one.
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
    """The diagram of a sum, from its plan of :func:`plan_sum` and the nodes of :func:`value_nodes`."""
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
    """The coordinate takes one of a branch's values, and the later ones meet the remaining sum."""
    parts = (_any(manager, (nodes[value] for value in values)) & below[rest] for rest, values in branches.items())
    return _any(manager, parts)


def _any(manager: SddManager, nodes: Iterable[SddNode]) -> SddNode:
    return functools.reduce(operator.or_, nodes, manager.false())


def _suffix_sums(numbers: Iterable[int]) -> list[int]:
    """Suffix sums of the numbers, and 0 at the end."""
    return list(itertools.accumulate(reversed(list(numbers)), initial=0))[::-1]
