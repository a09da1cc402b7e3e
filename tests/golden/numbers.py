"""Fixed inputs, and summaries of results."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from envs.constraints.base import Constraint

Record = dict[str, Any]
PROJECTIONS = 3


def uniform(seed: int, rows: int, columns: int) -> Tensor:
    """Numbers in [-1, 1), (rows, columns) float64, the same in every version of every library."""
    draw = random.Random(seed).random
    return torch.tensor([2 * draw() - 1 for _ in range(rows * columns)], dtype=torch.float64).view(rows, columns)


def actions_and_observations(constraint: Constraint, rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Actions (rows, n) within and around the box, and observations (rows, o) from rest to fast motion."""
    middle = torch.as_tensor((constraint.upper + constraint.lower) / 2)
    half = torch.as_tensor((constraint.upper - constraint.lower) / 2)
    width = max(constraint.context_indices, default=0) + 1
    speed = torch.linspace(0.02, 1, rows, dtype=torch.float64).sqrt()[:, None]
    actions = middle + 1.5 * half * uniform(2 * seed, rows, constraint.dim)
    return actions, 5 * speed * uniform(2 * seed + 1, rows, width)


def summary(values: ArrayLike | Tensor) -> list[float]:
    """Euclidean norm of all entries, and a few projections of them onto fixed vectors of norm about 1."""
    flat = np.asarray(values, dtype=np.float64).reshape(-1)
    places = np.arange(flat.size)
    scale = math.sqrt(2 / max(1, flat.size))
    directions = [scale * np.cos((k + 1) * 0.7 * places + k) for k in range(PROJECTIONS)]
    return [float(np.sqrt((flat * flat).sum())), *(float((flat * direction).sum()) for direction in directions)]
