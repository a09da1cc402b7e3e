"""What the checks of a constraint ask it about."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from benchmark.conformance.episodes import observations
from benchmark.conformance.verdicts import CheckFailedError, NotApplicableError
from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import make_generator

ROWS = 64
# A solver takes milliseconds a row.
SOLVED_ROWS = 16
# Random feasible points that an answer is held against, a row.
RIVALS = 200
# In units of the action box's longest side: what a solver at its default tolerances may be off by.
SOLVER_ERROR = 1e-4
SEED = 0


@dataclass(frozen=True)
class ConstraintCase:
    """A task's constraint, with observations of real episodes and actions from inside it to far outside."""

    task: TaskSpec

    @property
    def constraint(self) -> Constraint:
        """C(s)."""
        return self.task.constraint

    @property
    def dim(self) -> int:
        """Number of action coordinates, n."""
        return self.constraint.dim

    @cached_property
    def side(self) -> float:
        """Longest side of the action box."""
        return float(np.max(self.constraint.upper - self.constraint.lower))

    @property
    def error(self) -> float:
        """What an answer may be off by, in the environment's action units."""
        return SOLVER_ERROR * self.side

    @cached_property
    def box(self) -> tuple[Tensor, Tensor]:
        """Ends of the action box: (n,), (n,), float64."""
        return torch.as_tensor(self.constraint.lower), torch.as_tensor(self.constraint.upper)

    @cached_property
    def obs(self) -> Tensor:
        """Observations (ROWS, o)."""
        return observations(self.task, ROWS, SEED)

    def generator(self, *purpose: str) -> torch.Generator:
        """A generator for one check."""
        return make_generator(SEED, "conformance", *purpose)

    @cached_property
    def actions(self) -> Tensor:
        """Actions (ROWS, n): a half uniform on the box, a half far outside."""
        lower, upper = self.box
        generator = self.generator("actions")
        within = torch.rand((ROWS // 2, self.dim), generator=generator, dtype=torch.float64)
        beyond = 0.5 + 2 * torch.randn((ROWS // 2, self.dim), generator=generator, dtype=torch.float64)
        return lower + torch.stack([within, beyond], dim=1).reshape(ROWS, self.dim) * (upper - lower)

    @cached_property
    def drawn(self) -> Tensor:
        """What the constraint samples at each observation: (ROWS, RIVALS, n)."""
        obs = self.obs.repeat_interleave(RIVALS, dim=0)
        return self.constraint.sample(obs, self.generator("rivals")).reshape(ROWS, RIVALS, self.dim)

    @cached_property
    def rivals(self) -> Tensor:
        """The feasible ones of these: (ROWS, RIVALS, n).

        Raises:
            NotApplicableError: If a row has none.
        """
        flat, obs = self.drawn.reshape(-1, self.dim), self.obs.repeat_interleave(RIVALS, dim=0)
        feasible = self.constraint.contains(flat, obs, self.feasible_tol).reshape(ROWS, RIVALS)
        if not bool(feasible.any(dim=1).all()):
            raise NotApplicableError("sample() gives no feasible action to compare with; see sample-feasible")
        # In the place of one that is not feasible: the row's first that is.
        first = self.drawn[torch.arange(ROWS), feasible.int().argmax(dim=1)][:, None]
        return torch.where(feasible[:, :, None], self.drawn, first)

    @cached_property
    def feasible_tol(self) -> float:
        """Summed violation that counts as feasible: what it changes by when sampled actions move by ``error``."""
        step = torch.randn(self.drawn[:, 0].shape, generator=self.generator("steps"), dtype=torch.float64)
        moved = self.drawn[:, 0] + self.error * step / step.norm(dim=1, keepdim=True)
        before, after = (self.constraint.violation(action, self.obs) for action in (self.drawn[:, 0], moved))
        return float((after - before).abs().max())

    def interior(self, obs: Tensor) -> Tensor | None:
        """The constraint's interior point, None where it says that there is none and no sample proves it wrong.

        Raises:
            CheckFailedError: If one does.
        """
        try:
            return self.constraint.interior(obs)
        except UserError as error:
            violation = self.constraint.violation(
                self.rivals.reshape(-1, self.dim), self.obs.repeat_interleave(RIVALS, dim=0)
            )
            strict = (violation < 0).all(dim=1).reshape(ROWS, RIVALS)
            if bool(strict.any(dim=1).all()):
                raise CheckFailedError(f"interior() finds no point where sample() does: {error}") from error
            return None

    def size(self, action: Tensor, obs: Tensor) -> Tensor:
        """Summed positive violation (B,)."""
        return self.constraint.violation(action, obs).clamp(min=0).sum(dim=1)

    def need_convex(self) -> None:
        """End a check that asks a solver.

        Raises:
            NotApplicableError: If the set is not convex.
        """
        if not self.constraint.convex:
            raise NotApplicableError("the set is not convex, so that no solver describes it")
