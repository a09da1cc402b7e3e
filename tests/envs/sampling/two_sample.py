"""Whether two sets of points have the same distribution."""

from __future__ import annotations

import functools

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from envs import list_tasks, make_task
from envs.sampling.dataset import embed, rollout_contexts

PERMUTATIONS = 999
# Chance of a false alarm in one comparison; seeds are fixed, so that it is drawn once and for all.
ALARM = 0.002
NO_STATE = torch.zeros((1, 1), dtype=torch.float64)
# A task of each family of constraints.
FAMILIES = list({type(make_task(task).constraint): task for task in reversed(list_tasks())}.values())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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
        return NO_STATE
    visited = rollout_contexts(task, 60, seed=3)
    order = visited.norm(dim=1).argsort(descending=True)
    return embed(task.constraint, visited[order[:: len(order) // count][:count]])
