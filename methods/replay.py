"""A ring buffer of transitions, allocated once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from methods.base import Transition


class Batch(NamedTuple):
    """Transitions drawn together: (B, o), (B, n), (B, 1), (B, o), (B, 1), all float32."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor


class ReplayBuffer:
    """Holds the last ``size`` transitions.

    Args:
        size: Capacity in transitions; memory is taken from the system only as it fills.
        obs_dim: Observation dimension o.
        action_dim: Action dimension n.
    """

    def __init__(self, size: int, obs_dim: int, action_dim: int) -> None:
        self.size = size
        self.added = 0
        widths = (obs_dim, action_dim, 1, obs_dim, 1)
        self._columns = Batch(*(torch.empty((size, width)) for width in widths))

    def __len__(self) -> int:
        return min(self.added, self.size)

    def add(self, transition: Transition) -> None:
        """Store one transition with the executed action; a truncated episode is not a terminated one."""
        row = self.added % self.size
        self._columns.obs[row] = transition.obs[0]
        self._columns.action[row] = transition.action[0]
        self._columns.reward[row] = transition.reward
        self._columns.next_obs[row] = transition.next_obs[0]
        self._columns.terminated[row] = float(transition.terminated)
        self.added += 1

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``count`` transitions, uniform with replacement."""
        rows = torch.randint(len(self), (count,), generator=generator)
        return Batch(*(column.index_select(0, rows) for column in self._columns))
