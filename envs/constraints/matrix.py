"""Symmetric 2 x 2 matrices in closed form, for plain numbers and arrays alike."""

from __future__ import annotations

from typing import NamedTuple

from envs.constraints.knapsack import Array


class Matrix(NamedTuple):
    """A symmetric 2 x 2 matrix Q, its entries plain numbers or (B, 1), positive semidefinite.

    Attributes:
        first: Q11.
        cross: Q12.
        second: Q22.
        determinant: Apart, since computed from the entries it loses its digits where it is small.
    """

    first: Array
    cross: Array
    second: Array
    determinant: Array


def form(q: Matrix, a1: Array, a2: Array) -> Array:
    """``a' Q a``; plain numbers or (B, k)."""
    return q.first * a1 * a1 + 2 * q.cross * a1 * a2 + q.second * a2 * a2


def shrink(q: Matrix, y1: Array, y2: Array, m: Array) -> tuple[Array, Array]:
    """``(I + m Q)^-1 y`` for m >= 0."""
    determinant = 1 + m * (q.first + q.second) + m * m * q.determinant
    across = m * q.cross
    a1 = (y1 + m * q.second * y1 - across * y2) / determinant
    return a1, (y2 + m * q.first * y2 - across * y1) / determinant


def value_and_slope(q: Matrix, y1: Array, y2: Array, m: Array) -> tuple[Array, Array]:
    """``a' Q a`` at ``a = (I + m Q)^-1 y``, and its derivative in m with the sign turned."""
    a1, a2 = shrink(q, y1, y2, m)
    u1, u2 = q.first * a1 + q.cross * a2, q.cross * a1 + q.second * a2
    v1, v2 = shrink(q, u1, u2, m)
    return form(q, a1, a2), 2 * (u1 * v1 + u2 * v2)
