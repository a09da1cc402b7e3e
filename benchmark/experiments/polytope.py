"""Sets whose dimension, tightness and number of constraints can be chosen, for the cost of samplers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from torch import Tensor

from envs.constraints import Constraint, WeightedL1

if TYPE_CHECKING:
    import cvxpy as cp


class Polytope(Constraint):
    """``<normal_j, a> <= distance`` for m half-spaces within [-1, 1]^n: 0 lies inside, ``distance`` from every face.

    Args:
        normals: (m, n), unit vectors.
        distance: Positive.
    """

    def __init__(self, normals: NDArray[np.float64], distance: float) -> None:
        ones = np.ones(normals.shape[1])
        super().__init__(-ones, ones)
        self.normals = normals
        self.distance = distance

    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.violation`."""
        self.check(action, obs)
        normals = torch.as_tensor(self.normals, dtype=action.dtype)
        return torch.cat([action @ normals.T - self.distance, self.box_violation(action)], dim=1)

    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:  # noqa: ARG002
        """The same set for cvxpy."""
        return [self.normals @ x <= self.distance, x >= self.lower, x <= self.upper]

    def interior(self, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.interior`: 0."""
        return torch.zeros((obs.shape[0], self.dim), dtype=obs.dtype)


def random_polytope(dim: int, count: int, distance: float, generator: torch.Generator) -> Polytope:
    """A polytope with ``count`` faces in independent, uniform directions."""
    normals = torch.randn((count, dim), generator=generator, dtype=torch.float64)
    return Polytope((normals / torch.linalg.vector_norm(normals, dim=1, keepdim=True)).numpy(), distance)


def cross_polytope(dim: int, share: float) -> WeightedL1:
    """``sum_i |w_i a_i| <= bound`` within [-1, 1]^n that is this share of the box where every w_i is 1."""
    bound = float(brentq(lambda total: irwin_hall(dim, total) - share, 0.0, float(dim), xtol=1e-14))
    return WeightedL1(bound, -np.ones(dim), np.ones(dim), range(dim))


def irwin_hall(dim: int, total: float) -> float:
    """Probability that ``dim`` independent uniforms on [0, 1] sum to at most ``total`` (Irwin 1927, Hall 1927)."""
    terms = ((-1) ** k * math.comb(dim, k) * (total - k) ** dim for k in range(math.floor(total) + 1))
    return math.fsum(terms) / math.factorial(dim)
