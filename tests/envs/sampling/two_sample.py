"""Whether two sets of points have the same distribution, and sets of actions that the tests sample."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from envs import Constraint, list_tasks, make_task
from envs.sampling.dataset import embed, rollout_contexts

PERMUTATIONS = 999
# Chance of a false alarm in one comparison; seeds are fixed, so that it is drawn once and for all.
ALARM = 0.002
# A task of each family of constraints.
FAMILIES = list({type(make_task(task).constraint): task for task in reversed(list_tasks())}.values())


def energy_pvalue(first: Tensor, second: Tensor, seed: int = 0) -> float:
    """Permutation p-value of the energy distance between two samples (m, n) and (k, n) (Szekely and Rizzo 2004)."""
    pooled = torch.cat([first, second]).numpy()
    distance = cdist(*[pooled / pooled.std(axis=0)] * 2)
    weight = np.concatenate([np.full(len(first), 1 / len(first)), np.full(len(second), -1 / len(second))])
    rng = np.random.default_rng(seed)
    weights: NDArray[np.float64] = np.stack([weight, *(rng.permutation(weight) for _ in range(PERMUTATIONS))])
    energy = -((weights @ distance) * weights).sum(axis=1)
    return float((energy >= energy[0]).mean())


@functools.cache
def task_states(task_id: str, count: int = 2) -> Tensor:
    """States (count, o) that random feasible actions lead to: the farthest from 0 first, then others."""
    task = make_task(task_id)
    if not task.constraint.context_indices:
        return torch.zeros((1, 1), dtype=torch.float64)
    visited = rollout_contexts(task, 60, seed=3)
    order = visited.norm(dim=1).argsort(descending=True)
    return embed(task.constraint, visited[order[:: len(order) // count][:count]])


class Plain(Constraint):
    """A set in the plane that gives its violation and an interior point, and nothing else."""

    convex = False

    def __init__(self) -> None:
        super().__init__([-1.0, -1.0], [1.0, 1.0])

    def cvxpy_constraints(self, x, obs_row):
        raise NotImplementedError

    def excess(self, action: Tensor) -> Tensor:
        """The set's own column: (B,)."""
        raise NotImplementedError

    def violation(self, action: Tensor, obs: Tensor) -> Tensor:  # noqa: ARG002
        return torch.cat([self.excess(action)[:, None], self.box_violation(action)], dim=1)


class Ring(Plain):
    """0.02 <= |a|^2 <= 0.05."""

    def excess(self, action: Tensor) -> Tensor:
        square = (action**2).sum(dim=1)
        return torch.maximum(square - 0.05, 0.02 - square)

    def interior(self, obs: Tensor) -> Tensor:
        return torch.tensor([[0.19, 0.0]], dtype=obs.dtype).expand(len(obs), -1)


class Discs(Plain):
    """Two discs that lie apart: squared radii 0.05 about (0.5, 0) and 0.02 about (-0.5, 0)."""

    def excess(self, action: Tensor) -> Tensor:
        centre = torch.tensor([0.5, 0.0], dtype=action.dtype)
        first, second = ((action - centre) ** 2).sum(dim=1) - 0.05, ((action + centre) ** 2).sum(dim=1) - 0.02
        return torch.minimum(first, second)

    def interior(self, obs: Tensor) -> Tensor:
        return torch.tensor([[0.5, 0.0]], dtype=obs.dtype).expand(len(obs), -1)
