"""Constraints that each do one thing wrong, on the power of Reacher's two joints."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import torch
from torch import Tensor

from envs.constraints import Constraint, WeightedL1
from envs.errors import UserError

W = (6, 7)


class Right(WeightedL1):
    """sum |w_i a_i| <= 0.3, exact."""

    def __init__(self) -> None:
        super().__init__(0.3, -np.ones(2), np.ones(2), W)


class RightByDefault(Constraint):
    """The same by ``violation`` and ``cvxpy_constraints`` alone."""

    def __init__(self) -> None:
        super().__init__(-np.ones(2), np.ones(2), W)

    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        own = (action * self.context(obs)).abs().sum(dim=1, keepdim=True) - 0.3
        return torch.cat([own, self.box_violation(action)], dim=1)

    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:
        return [cp.norm1(cp.multiply(obs_row[6:8], x)) <= 0.3, x >= -1, x <= 1]


# --- the set ---------------------------------------------------------------------------------------------------


class FlatViolation(Right):
    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        return super().violation(action, obs).max(dim=1).values


class ViolationInDouble(Right):
    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        return super().violation(action, obs).double()


class WithoutBox(Right):
    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        return super().violation(action, obs)[:, :1]


class BoxOfZeros(Right):
    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        own = super().violation(action, obs)[:, :1]
        return torch.cat([own, torch.zeros_like(action)], dim=1)


class ContainsAll(Right):
    def contains(self, action: Tensor, obs: Tensor, tol: float = 0.0) -> Tensor:
        return super().contains(action, obs, tol + 1.0)


class ContainsLess(Right):
    def contains(self, action: Tensor, obs: Tensor, tol: float = 0.0) -> Tensor:
        return super().contains(action, obs, 0.1 - tol)


class CvxpyIsLarger(Right):
    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:
        return [cp.norm1(cp.multiply(obs_row[6:8], x)) <= 0.33, x >= -1, x <= 1]


class CvxpyWithoutBox(Right):
    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:
        return [cp.norm1(cp.multiply(obs_row[6:8], x)) <= 0.3]


class RowsMixed(Right):
    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        return super().violation(action, obs.flip(0))


class FirstRowForAll(Right):
    def linear_oracle(self, gradient: Tensor, obs: Tensor) -> Tensor:
        return super().linear_oracle(gradient, obs[:1].expand(len(obs), -1))


class NanGradient(Right):
    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        own = (action * self.context(obs)).square().sqrt().sum(dim=1, keepdim=True) - 0.3
        return torch.cat([own, self.box_violation(action)], dim=1)


class NoGradient(Right):
    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        return super().violation(action.detach(), obs.detach())


# --- answers ---------------------------------------------------------------------------------------------------


class AnswersInDouble(Right):
    def project(self, action: Tensor, obs: Tensor) -> Tensor:
        return super().project(action, obs).double()


class WritesIntoActions(Right):
    def project(self, action: Tensor, obs: Tensor) -> Tensor:
        return super().project(action.clamp_(-1, 1), obs)


class ProjectsOutside(Right):
    def project(self, action: Tensor, obs: Tensor) -> Tensor:
        return super().project(action, obs) * 1.01


class ProjectsAlongARay(Right):
    """Feasible and idempotent, but not nearest."""

    def project(self, action: Tensor, obs: Tensor) -> Tensor:
        return action / self.gauge(action, obs).clamp(min=1)[:, None]


class MovesWhatIsFeasible(Right):
    def project(self, action: Tensor, obs: Tensor) -> Tensor:
        return super().project(action, obs) * 0.99


class OracleNotOptimal(Right):
    def linear_oracle(self, gradient: Tensor, obs: Tensor) -> Tensor:
        return super().linear_oracle(gradient, obs) * 0.9


class OracleByNorm(Right):
    """Along the gradient to the boundary: feasible, and not the support point."""

    def linear_oracle(self, gradient: Tensor, obs: Tensor) -> Tensor:
        return gradient / self.gauge(gradient, obs)[:, None]


class OracleOutside(Right):
    def linear_oracle(self, gradient: Tensor, obs: Tensor) -> Tensor:
        return super().linear_oracle(gradient, obs) * 1.1


class InteriorOnTheBoundary(Right):
    def interior(self, obs: Tensor) -> Tensor:
        return self.linear_oracle(torch.ones((len(obs), 2), dtype=obs.dtype), obs)


class InteriorDenied(Right):
    def interior(self, obs: Tensor) -> Tensor:
        raise UserError(f"no interior at {len(obs)} observations")


class SampleUnseeded(Right):
    def sample(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        del generator
        fresh = torch.Generator()
        fresh.seed()
        return super().sample(obs, fresh)


class SampleFromTheGlobalGenerator(Right):
    def sample(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        del generator
        return super().sample(obs, torch.default_generator)


class SampleAlwaysTheSame(Right):
    def sample(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        del generator
        return super().sample(obs, torch.Generator().manual_seed(0))


class SampleInTheBox(Right):
    def sample(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        return 2 * torch.rand((len(obs), 2), generator=generator, dtype=obs.dtype) - 1


BROKEN: list[tuple[type[Constraint], str]] = [
    (FlatViolation, "violation-shape"),
    (ViolationInDouble, "violation-shape"),
    (WithoutBox, "violation-includes-box"),
    (BoxOfZeros, "violation-includes-box"),
    (ContainsAll, "contains-agrees"),
    (ContainsLess, "contains-agrees"),
    (CvxpyIsLarger, "cvxpy-same-set"),
    (CvxpyWithoutBox, "cvxpy-same-set"),
    (RowsMixed, "rows-are-independent"),
    (FirstRowForAll, "rows-are-independent"),
    (NanGradient, "violation-gradient"),
    (NoGradient, "violation-gradient"),
    (AnswersInDouble, "answers-shape"),
    (WritesIntoActions, "arguments-unchanged"),
    (ProjectsOutside, "projection-feasible"),
    (ProjectsAlongARay, "projection-nearest"),
    (MovesWhatIsFeasible, "projection-idempotent"),
    (OracleNotOptimal, "oracle-optimal"),
    (OracleByNorm, "oracle-optimal"),
    (OracleOutside, "oracle-feasible"),
    (InteriorOnTheBoundary, "interior-strict"),
    (InteriorDenied, "interior-strict"),
    (SampleUnseeded, "sample-seeded"),
    (SampleFromTheGlobalGenerator, "sample-seeded"),
    (SampleAlwaysTheSame, "sample-seeded"),
    (SampleInTheBox, "sample-feasible"),
]
