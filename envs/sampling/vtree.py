"""Variable trees for integers in binary: a spine over coordinates, a balanced tree over the bits of each."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pysdd.sdd import Vtree


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


def bit_tree(bits: Sequence[int]) -> BitTree:
    """The tree for coordinates of these numbers of bits, 1 or more each.

    Right-linear over coordinates: below the node of coordinate i, its own bits lie left, all later coordinates right. A
    decision there is on the whole value of a_i, and what follows depends on the remaining sum alone, so a diagram of a
    linear constraint has at most one such node for each partial sum. Balanced within, since of a single number's bits
    none should come last.
    """
    tree = BitTree()
    position, variable, above = 0, 1, -1
    for number, count in enumerate(bits):
        variables = range(variable, variable + count)
        variable += count
        if number == len(bits) - 1:
            root = _grow(tree, variables, position)
        else:
            root = position + 2 * count - 1
            tree.order.append(root)
            tree.left[root] = _grow(tree, variables, position)
            position = root + 1
        if above >= 0:
            tree.right[above] = root
        above = root
    return tree


def _grow(tree: BitTree, variables: range, position: int) -> int:
    """Adds a balanced tree whose first node in order is ``position``; its root."""
    half = len(variables) // 2
    root = position + max(0, 2 * half - 1)
    tree.order.append(root)
    if half:
        tree.left[root] = _grow(tree, variables[:half], position)
        tree.right[root] = _grow(tree, variables[half:], root + 1)
    else:
        tree.variable[root] = variables[0]
    return root
