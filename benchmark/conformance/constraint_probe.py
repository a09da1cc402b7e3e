"""What the checks of a constraint ask it about: observations, actions, and feasible points to compare with."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.conformance.rollouts import rollout
from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import make_generator

ROWS = 48
# Random feasible points that an answer is held against, a row.
RIVALS = 100
# In units of the action box's longest side: what a solver at its default tolerances may be off by.
SOLVER_ERROR = 1e-4
Question = Callable[[Tensor, Tensor], Tensor]


class ConstraintProbe:
    """A task's constraint, with observations of real episodes and actions from inside it to far outside.

    Attributes:
        task: The task.
        constraint: C(s), a copy of the task's.
        dim: Number of action coordinates, n.
        box: Ends of the action box: (n,), (n,), float64.
        side: Longest side of the box.
        error: What an answer may be off by, in the environment's action units.
    """

    def __init__(self, task: TaskSpec) -> None:
        self.task = task
        self.constraint: Constraint = copy.deepcopy(task.constraint)
        self.dim = self.constraint.dim
        self.box = torch.as_tensor(self.constraint.lower), torch.as_tensor(self.constraint.upper)
        self.side = float(np.max(self.constraint.upper - self.constraint.lower))
        self.error = SOLVER_ERROR * self.side

    def generator(self, purpose: str) -> torch.Generator:
        """A generator for one purpose."""
        return make_generator(0, "conformance", purpose)

    @cached_property
    def obs(self) -> Tensor:
        """Observations (ROWS, o), under random feasible actions."""
        generator = self.generator("episodes")

        def sample(observation: NDArray[np.float64]) -> NDArray[np.float64]:
            obs = torch.tensor(observation, dtype=torch.float64)[None]
            return self.constraint.sample(obs, generator)[0].numpy()

        return torch.as_tensor(rollout(self.task, 0, ROWS, sample).observations[:ROWS])

    @cached_property
    def actions(self) -> Tensor:
        """Actions (ROWS, n): a half uniform on the box, a half far outside."""
        lower, upper = self.box
        generator = self.generator("actions")
        within = torch.rand((ROWS // 2, self.dim), generator=generator, dtype=torch.float64)
        beyond = 0.5 + 2 * torch.randn((ROWS // 2, self.dim), generator=generator, dtype=torch.float64)
        return lower + torch.stack([within, beyond], dim=1).reshape(ROWS, self.dim) * (upper - lower)

    @cached_property
    def directions(self) -> Tensor:
        """Directions (ROWS, n) of length 1."""
        drawn = torch.randn((ROWS, self.dim), generator=self.generator("directions"), dtype=torch.float64)
        return torch.nn.functional.normalize(drawn)

    @cached_property
    def samples(self) -> Tensor:
        """What the constraint samples at each observation: (ROWS, RIVALS, n)."""
        rows = self.obs.repeat_interleave(RIVALS, dim=0)
        return self.constraint.sample(rows, self.generator("rivals")).reshape(ROWS, RIVALS, self.dim)

    @cached_property
    def rivals(self) -> Tensor:
        """The feasible ones of these: (ROWS, RIVALS, n); a row's first stands for those that are not."""
        rows = self.obs.repeat_interleave(RIVALS, dim=0)
        feasible = (self.size(self.samples.reshape(-1, self.dim), rows) <= self.tolerance).reshape(ROWS, RIVALS)
        assert feasible.any(dim=1).all(), "sample() gives no feasible action to compare with; see test_sample_feasible"
        first = self.samples[torch.arange(ROWS), feasible.int().argmax(dim=1)][:, None]
        return torch.where(feasible[:, :, None], self.samples, first)

    @cached_property
    def tolerance(self) -> float:
        """Summed violation that counts as feasible: what it changes by when sampled actions move by ``error``."""
        ends = (self.samples[:, 0], self.samples[:, 0] + self.error * self.directions)
        before, after = (self.constraint.violation(action, self.obs) for action in ends)
        return float((after - before).abs().max())

    @cached_property
    def centre(self) -> Tensor | None:
        """Interior points (ROWS, n), None where the constraint says that there are none."""
        try:
            return self.constraint.interior(self.obs)
        except UserError:
            return None

    @property
    def questions(self) -> dict[str, Question]:
        """What the constraint can be asked about actions (B, n) or directions (B, n) at observations (B, o)."""
        constraint = self.constraint
        questions: dict[str, Question] = {
            "violation": constraint.violation,
            "contains": lambda action, obs: constraint.contains(action, obs, self.tolerance),
            "sample": lambda _, obs: constraint.sample(obs, self.generator("sample")),
            "project": constraint.project,
            "linear_oracle": constraint.linear_oracle,
        }
        return questions if self.centre is None else {**questions, "interior": lambda _, obs: constraint.interior(obs)}

    def size(self, action: Tensor, obs: Tensor) -> Tensor:
        """Summed positive violation (B,)."""
        return self.constraint.violation(action, obs).clamp(min=0).sum(dim=1)
