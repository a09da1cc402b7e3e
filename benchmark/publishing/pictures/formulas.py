"""What a constraint demands, as a line of text with the numbers of the instance."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from envs.constraints import (
    Allocation,
    Ball,
    Box,
    Discs,
    Intersection,
    Power,
    Ring,
    SineSquares,
    TwoLegs,
    TwoLinkTip,
    WeightedL1,
)
from envs.constraints.base import Constraint

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# Sums of more terms are written with dots.
MOST_TERMS = 3


@functools.singledispatch
def formula(constraint: Constraint) -> str:
    """The inequalities that an action a meets, where their state variables are in the observation, and the action box.

    A family that has no formula here, such as a plug-in's, gives the first line of its class's docstring; it gets one
    by ``formula.register``.

    Args:
        constraint: Whose numbers are written.

    Returns:
        One line of Unicode text, such as ``"|w₁a₁| + |w₂a₂| ≤ 0.3, w = obs[6..7], a ∈ [-1, 1]²"``.
    """
    described = inspect.getdoc(type(constraint)) or type(constraint).__name__
    return described.partition("\n")[0].replace("``", "")


@formula.register
def _(constraint: Box) -> str:
    return box_of(constraint)


@formula.register
def _(constraint: Ball) -> str:
    return f"{squares(constraint.dim)} ≤ {constraint.radius_squared:g}, {box_of(constraint)}"


@formula.register
def _(constraint: WeightedL1) -> str:
    spent = total("|w{i}a{i}|", constraint.dim)
    return f"{spent} ≤ {constraint.bound:g}, {entries('w', constraint.context_indices)}, {box_of(constraint)}"


@formula.register
def _(constraint: Power) -> str:
    spent = total("max(w{i}a{i}, 0)", constraint.dim)
    return f"{spent} ≤ {constraint.bound:g}, {entries('w', constraint.context_indices)}, {box_of(constraint)}"


@formula.register
def _(constraint: Allocation) -> str:
    return f"{total('a{i}', constraint.dim)} = {constraint.total:g}, {box_of(constraint)}; whole numbers are executed"


@formula.register
def _(constraint: TwoLinkTip) -> str:
    where = entries("c", constraint.context_indices)
    return f"a₁² + 2a₁(a₁ + a₂)c + (a₁ + a₂)² ≤ {constraint.bound:g}, {where}, {box_of(constraint)}"


@formula.register
def _(constraint: TwoLegs) -> str:
    *angles, first, second = constraint.context_indices
    power = "w₁a₁ sin(θ₁ + θ₂ + θ₃) + w₄a₄ sin(θ₄ + θ₅ + θ₆)"
    where = f"{entries('θ', angles)}, w₁ = obs[{first}], w₄ = obs[{second}]"
    return f"{power} ≤ {constraint.bound:g}, {where}, {box_of(constraint)}"


@formula.register
def _(constraint: SineSquares) -> str:
    spent = total("a{i}² sin²(θ{i})", constraint.dim)
    return f"{spent} ≤ {constraint.bound:g}, {entries('θ', constraint.context_indices)}, {box_of(constraint)}"


@formula.register
def _(constraint: Intersection) -> str:
    first, second = (formula(part).removesuffix(f", {box_of(part)}") for part in (constraint.l1, constraint.quadratic))
    return f"{first}, and {second}, {box_of(constraint)}"


@formula.register
def _(constraint: Ring) -> str:
    middle = squares(constraint.dim)
    return f"{constraint.inner_squared:g} ≤ {middle} ≤ {constraint.outer_squared:g}, {box_of(constraint)}"


@formula.register
def _(constraint: Discs) -> str:
    pairs = zip(constraint.centres, constraint.radius_squared, strict=True)
    discs = [f"{' + '.join(map(_offset_square, range(1, constraint.dim + 1), c))} ≤ {r:g}" for c, r in pairs]
    return f"{' or '.join(discs)}, {box_of(constraint)}"


def _offset_square(number: int, centre: float) -> str:
    name = f"a{subscript(number)}"
    if centre == 0:
        return f"{name}²"
    return f"({name} {'-' if centre > 0 else '+'} {abs(centre):g})²"


def subscript(number: int) -> str:
    """A number below the line."""
    return str(number).translate(SUBSCRIPTS)


def total(term: str, count: int) -> str:
    """A sum of ``count`` terms, in which ``{i}`` stands for the index."""
    shown = range(1, count + 1) if count <= MOST_TERMS else (1, count)
    return (" + " if count <= MOST_TERMS else " + … + ").join(term.replace("{i}", subscript(i)) for i in shown)


def squares(count: int) -> str:
    """The sum of squares of an action's coordinates."""
    return total("a{i}²", count)


def entries(name: str, indices: Sequence[int]) -> str:
    """Where the variable ``name`` is in the observation."""
    if len(indices) > 1 and list(indices) == list(range(indices[0], indices[-1] + 1)):
        return f"{name} = obs[{indices[0]}..{indices[-1]}]"
    return f"{name} = obs[{', '.join(map(str, indices))}]"


def box_of(constraint: Constraint) -> str:
    """The action box."""
    return _box(constraint.lower, constraint.upper)


def _box(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> str:
    if len(set(lower)) == len(set(upper)) == 1:
        return f"a ∈ [{lower[0]:g}, {upper[0]:g}]{str(len(lower)).translate(SUPERSCRIPTS)}"
    return "a ∈ " + " x ".join(f"[{low:g}, {high:g}]" for low, high in zip(lower, upper, strict=True))
