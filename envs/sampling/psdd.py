"""Exact uniform sampling of integer points under linear constraints by a probabilistic sentential decision diagram.

The constraints are compiled once into a sentential decision diagram (SDD, Darwiche 2011) over the bits of the
coordinates. With model counts at every node, it is a PSDD (Kisa et al. 2014) of the uniform distribution, and each
sample is one walk from the root (FlowPG, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from pysdd.sdd import SddManager, SddNode
from torch import Tensor

from envs.constraints.allocation import Allocation
from envs.errors import UserError
from envs.sampling.samples import Samples
from envs.sampling.sdd import SENSES, BitTree, bit_tree, compile_sum, plan_sum, value_nodes

# Draws that go down the diagram together: enough to hide the fixed cost of tensor operations, few enough for the cache.
CHUNK = 1 << 16


def compile_allocation(constraint: Allocation) -> PSDD:
    """The PSDD of the integer points of an allocation: ``sum_i a_i = total``, ``lower <= a <= upper``.

    Raises:
        UserError: If the total or a limit is not whole.
    """
    lower = _whole(constraint.lower, "lower limits")
    upper = _whole(constraint.upper, "upper limits")
    (total,) = _whole([constraint.total], "total")
    room = [most - least for least, most in zip(lower, upper, strict=True)]
    return _compile([[1] * constraint.dim], ["="], [total - sum(lower)], room, lower)


def compile_linear(coefficients: ArrayLike, sense: str | Sequence[str], bound: ArrayLike, upper: Sequence[int]) -> PSDD:
    """The PSDD of ``sum_i c_i a_i (=, <= or >=) b`` with whole ``0 <= a_i <= u_i``; several constraints are conjoined.

    Args:
        coefficients: Whole numbers of any sign, (n,) or, for m constraints, (m, n).
        sense: ``"="``, ``"<="`` or ``">="``, one or m of them.
        bound: b, one or m whole numbers.
        upper: u, (n,), whole and not negative.

    Returns:
        The PSDD. Time and size grow with the number of distinct partial sums, not of points.

    Raises:
        UserError: If a number is not whole, shapes differ, a sense is unknown, no point satisfies the constraints, or
            there are too many partial sums.
    """
    try:
        rows = [_whole(row, "coefficients") for row in np.atleast_2d(np.asarray(coefficients))]
    except ValueError as error:
        raise UserError("psdd: coefficients must be whole numbers, in one row or rows of equal length") from error
    senses = [sense] if isinstance(sense, str) else list(sense)
    bounds, limits = _whole(bound, "bound"), _whole(upper, "upper limits")
    if not len(rows) == len(senses) == len(bounds):
        counts = f"{len(rows)} rows of coefficients, {len(senses)} senses, {len(bounds)} bounds"
        raise UserError(f"psdd: {counts}; give the same number of each")
    if not limits or any(len(row) != len(limits) for row in rows):
        raise UserError(f"psdd: {len(limits)} upper limits for {len(rows[0])} coefficients; give one for each")
    if min(limits) < 0:
        raise UserError("psdd: an upper limit is negative; coordinates start at 0")
    if not set(senses) <= set(SENSES):
        raise UserError(f"psdd: unknown sense among {senses}; use {', '.join(SENSES)}")
    return _compile(rows, senses, bounds, limits, [0] * len(limits))


class PSDD:
    """A diagram whose models are integer points, with model counts at every node.

    Nodes are those of the normalised diagram: every draw visits every node of the variable tree once, from the root
    down, and chooses among the elements (p, s) of its decision node in proportion to count(p) x count(s). A variable
    that the reduced diagram leaves out has a node that is true and counts 2. Counts are exact; probabilities are
    rounded to about 1e-12.

    Args:
        diagram: Root.
        tree: The diagram's variable tree.
        bits: Number of bits of each coordinate, least significant first.
        lower: Offset of every draw, (n,).

    Attributes:
        models: Number of points.
        nodes: Decision nodes of the reduced diagram.

    Raises:
        UserError: If there are no points.
    """

    def __init__(self, diagram: SddNode, tree: BitTree, bits: Sequence[int], lower: Sequence[int]) -> None:
        if diagram.is_false():
            raise UserError("psdd: no integer point satisfies the constraints; loosen them")
        self._tree = tree
        self._lower = torch.tensor(lower, dtype=torch.int64)
        self._places = [(number, 1 << bit) for number, count in enumerate(bits) for bit in range(count)]
        elements, ones = _normalise(diagram, tree)
        counts = _count_models(elements, ones, tree)
        self._splits = {node: _Split(elements[node], counts, tree, node) for node in elements}
        self._ones = {node: torch.tensor(shares, dtype=torch.float64) for node, shares in ones.items()}
        self.models: int = counts[tree.order[0]][0]
        self.nodes: int = diagram.count()

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent uniform points: (count, n) int64.

        Args:
            count: Number of points.
            generator: Source of randomness, on the CPU.
        """
        sizes = [min(CHUNK, count - start) for start in range(0, count, CHUNK)]
        return torch.cat([self._walk(size, generator) for size in sizes] or [self._lower[None][:0]])

    def _walk(self, count: int, generator: torch.Generator) -> Tensor:
        points = self._lower.repeat(count, 1)
        # The diagram node of each draw, at each node of the tree.
        at = {self._tree.order[0]: torch.zeros(count, dtype=torch.int64)}
        for node in self._tree.order:
            here = at.pop(node)
            if node in self._splits:
                split = self._splits[node]
                element = split.choose(here, generator)
                at[self._tree.left[node]] = split.primes[element]
                at[self._tree.right[node]] = split.subs[element]
            else:
                coordinate, weight = self._places[self._tree.variable[node] - 1]
                ones = self._ones[node]
                share = ones[here]
                if bool(((ones > 0) & (ones < 1)).any()):
                    share = (torch.rand(count, generator=generator, dtype=torch.float64) < share).double()
                points[:, coordinate] += weight * share.long()
        return points


def sample_psdd(psdd: PSDD, count: int, generator: torch.Generator) -> Samples:
    """Draws of a PSDD as :class:`Samples`, with actions (count, n).

    Raises:
        UserError: If ``count`` is below 1.
    """
    if count < 1:
        raise UserError(f"psdd: cannot draw {count} samples; ask for 1 or more")
    actions = psdd.sample(count, generator).double()
    return Samples(actions, proposals=count, acceptance=1.0, models=psdd.models, nodes=psdd.nodes)


# For each diagram node at one node of the tree, its elements: pairs of indices into the nodes of the two children.
Nodes = list[list[tuple[int, int]]]
# By node of the tree: elements of inner nodes, shares of models with the variable at 1 of leaves, and model counts.
Elements = dict[int, Nodes]
Ones = dict[int, list[float]]
Counts = dict[int, list[int]]


class _Split:
    """All decision nodes at one inner node of the tree, their elements one after another in flat tensors."""

    def __init__(self, nodes: Nodes, counts: Counts, tree: BitTree, at: int) -> None:
        left, right = counts[tree.left[at]], counts[tree.right[at]]
        primes, subs, ends, last = [], [], [], []
        for number, elements in enumerate(nodes):
            total, below = counts[at][number], 0
            for prime, sub in elements:
                below += left[prime] * right[sub]
                # Python rounds quotients of integers of any size only once.
                ends.append(number + below / total)
                primes.append(prime)
                subs.append(sub)
            last.append(len(ends) - 1)
        self.primes, self.subs = torch.tensor(primes), torch.tensor(subs)
        self._ends, self._last = torch.tensor(ends, dtype=torch.float64), torch.tensor(last)
        self._branches = len(ends) > len(nodes)

    def choose(self, here: Tensor, generator: torch.Generator) -> Tensor:
        """An element (B,) of the decision node at which each draw is (B,)."""
        if not self._branches:
            return here
        u = torch.rand(len(here), generator=generator, dtype=torch.float64)
        element = torch.searchsorted(self._ends, here + u, right=True)
        # The sum may round up into the next node's range.
        return element.minimum(self._last[here])


def _compile(rows: list[list[int]], senses: list[str], bounds: list[int], upper: list[int], lower: list[int]) -> PSDD:
    # First, since it raises if the work would take too long.
    plans = [plan_sum(row, sense, bound, upper) for row, sense, bound in zip(rows, senses, bounds, strict=True)]
    bits = [max(1, most.bit_length()) for most in upper]
    tree = bit_tree(bits)
    # A manager made from a tree neither collects garbage nor rearranges, so nodes stay valid.
    manager = SddManager.from_vtree(tree.export())
    values = value_nodes(manager, bits, upper)
    diagram = manager.true()
    for plan in plans:
        diagram = diagram & compile_sum(manager, values, plan)
    return PSDD(diagram, tree, bits, lower)


def _normalise(diagram: SddNode, tree: BitTree) -> tuple[Elements, Ones]:
    """The part of the normalised diagram that has models, from the root down."""
    found: dict[int, list[SddNode]] = {node: [] for node in tree.order}
    index: dict[int, dict[int, int]] = {node: {} for node in tree.order}

    def number(node: int, diagram: SddNode) -> int:
        if diagram.id not in index[node]:
            index[node][diagram.id] = len(found[node])
            found[node].append(diagram)
        return index[node][diagram.id]

    number(tree.order[0], diagram)
    elements: Elements = {}
    ones: Ones = {}
    for node in tree.order:
        if node in tree.variable:
            ones[node] = [0.5 if leaf.is_true() else float(leaf.literal > 0) for leaf in found[node]]
            continue
        elements[node] = []
        for decision in found[node]:
            pairs = _elements_at(decision, node)
            left, right = tree.left[node], tree.right[node]
            elements[node].append([(number(left, prime), number(right, sub)) for prime, sub in pairs])
    return elements, ones


def _elements_at(diagram: SddNode, node: int) -> list[tuple[SddNode, SddNode]]:
    """Elements with models of a diagram that may belong further down the tree than ``node``."""
    if diagram.is_true():
        return [(diagram, diagram)]
    own = diagram.vtree().position()
    if own == node:
        return [(prime, sub) for prime, sub in diagram.elements() if not sub.is_false()]
    true = diagram.manager.true()
    return [(diagram, true)] if own < node else [(true, diagram)]


def _count_models(elements: Elements, ones: Ones, tree: BitTree) -> Counts:
    """Model counts over the variables below each node of the tree, for each diagram node there, as Python integers."""
    counts = {node: [2 if share == 0.5 else 1 for share in shares] for node, shares in ones.items()}
    for node in reversed(tree.order):
        if node in elements:
            left, right = counts[tree.left[node]], counts[tree.right[node]]
            counts[node] = [sum(left[prime] * right[sub] for prime, sub in pairs) for pairs in elements[node]]
    return counts


def _whole(numbers: ArrayLike, name: str) -> list[int]:
    """Whole numbers as Python integers, which do not overflow."""
    given = np.asarray(numbers).reshape(-1).tolist()
    if not all(isinstance(number, int) or (isinstance(number, float) and number.is_integer()) for number in given):
        raise UserError(f"psdd: {name} must be whole numbers")
    return [int(number) for number in given]
