"""Formulas of constraints as Unicode text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
# Sums with more terms are written with dots.
MOST_TERMS = 3


def offset_square(number: int, centre: float) -> str:
    """The square of a coordinate's distance from a centre."""
    name = f"a{subscript(number)}"
    if centre == 0:
        return f"{name}²"
    return f"({name} {'-' if centre > 0 else '+'} {abs(centre):g})²"


def subscript(number: int) -> str:
    """A number as subscript."""
    return str(number).translate(SUBSCRIPTS)


def total(term: str, count: int) -> str:
    """A sum of ``count`` terms, in which ``{i}`` stands for the index."""
    shown = range(1, count + 1) if count <= MOST_TERMS else (1, count)
    return (" + " if count <= MOST_TERMS else " + … + ").join(term.replace("{i}", subscript(i)) for i in shown)


def entries(name: str, indices: Sequence[int]) -> str:
    """The place of the variable ``name`` in the observation."""
    if len(indices) > 1 and list(indices) == list(range(indices[0], indices[-1] + 1)):
        return f"{name} = obs[{indices[0]}..{indices[-1]}]"
    return f"{name} = obs[{', '.join(map(str, indices))}]"


def box(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> str:
    """The action box."""
    if len(set(lower)) == len(set(upper)) == 1:
        return f"a ∈ [{lower[0]:g}, {upper[0]:g}]{str(len(lower)).translate(SUPERSCRIPTS)}"
    return "a ∈ " + " x ".join(f"[{low:g}, {high:g}]" for low, high in zip(lower, upper, strict=True))
