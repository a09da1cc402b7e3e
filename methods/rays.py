"""Rays from the interior point c(s) of C(s), in free coordinates, and the stretch of a box onto C(s) along them.

Below, ``step`` is a vector (B, d) from c(s), and its gauge is that of C(s) around c(s), which is 1 at the boundary.
"""

from __future__ import annotations

import torch
from torch import Tensor

from envs.constraints.base import Constraint

# Maps onto C(s) end this much short of the boundary, relative to the distance from the centre: more than the rounding
# of a constraint in float64, and far less than anything that could be learned or counted.
SHORT = 1e-12
TINY = 1e-30


def free_centre(constraint: Constraint, obs: Tensor) -> Tensor:
    """The interior point c(s): (B, d)."""
    return constraint.to_free(constraint.interior(obs))


def free_gauge(constraint: Constraint, centre: Tensor, step: Tensor, obs: Tensor) -> Tensor:
    """Gauge (B, 1) of steps."""
    direction = constraint.from_free(centre + step) - constraint.from_free(centre)
    return constraint.gauge(direction, obs)[:, None]


def stretch(u: Tensor, gauge: Tensor) -> Tensor:
    """``r(u) = |u|_inf / gauge``, (B, 1), which takes the boundary of [-1, 1]^d to that of C(s); 1 at 0.

    ``gauge`` is that of the step for u in [-1, 1]^d.
    """
    size = torch.linalg.vector_norm(u, ord=torch.inf, dim=1, keepdim=True)
    some = gauge > TINY
    return torch.where(some, size / torch.where(some, gauge, 1.0), 1.0)


def stretch_onto(constraint: Constraint, u: Tensor, half: Tensor, obs: Tensor) -> Tensor:
    """``c(s) + r(u) half u``: the box [-1, 1]^d onto C(s), one to one, for sets that are star-shaped around c(s).

    r is constant along rays, so the Jacobian's determinant is that of ``r I + u (grad r)'`` times the product of
    ``half``, which is r^d times it since <u, grad r> = 0 (Euler). The gauge map is that of Tabas and Zhang (2022, arXiv
    2109.13371).

    Args:
        constraint: The set; its gauge raises an error if it is not convex.
        u: (B, d), float64.
        half: Half-widths (d,) of a box in free coordinates, which scale u to steps.
        obs: (B, o), float64.

    Returns:
        Actions (B, n) in the environment's units, float64, in C(s) for every u in the box.
    """
    centre = free_centre(constraint, obs)
    step = half * u
    reach = stretch(u, free_gauge(constraint, centre, step, obs))
    return constraint.from_free(centre + (1 - SHORT) * reach * step)
