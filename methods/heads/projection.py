"""The projection layer of OptLayer (Pham et al., 2018, arXiv 1709.07643), exact."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from torch import Tensor

from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.sampling.dataset import embed
from methods.heads.base import Head


class ProjectionHead(Head):
    """``a = P(middle + half u)`` onto C(s): the nearest feasible action, with the gradient through the projection.

    If the output lies outside C(s), the part of the gradient that points out of the set vanishes.
    """

    squashed: ClassVar[bool] = True

    def __init__(self, constraint: Constraint) -> None:
        super().__init__(constraint)
        obs = embed(constraint, torch.zeros((1, len(constraint.context_indices)), dtype=torch.float64))
        output = torch.zeros((1, constraint.dim), dtype=torch.float64, requires_grad=True)
        # On a copy: the method's calls are counted, and this check is not part of learning.
        if not copy.deepcopy(constraint).project(self.scaled(output), obs).requires_grad:
            name = type(constraint).__name__
            raise UserError(
                f"the projection of {name} has no gradient: write one in torch operations, or inherit from "
                "ExactConstraint"
            )

    def action_of(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Head.action_of`."""
        # In double precision, a gradient that vanishes is exactly 0.
        return self.constraint.project(self.scaled(output).double(), obs.double())
