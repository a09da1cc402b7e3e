"""A ring buffer of transitions, allocated once, that stores each observation once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from methods.base import Tensors, Transition


class Batch(NamedTuple):
    """Transitions drawn together: (B, o), (B, n), (B, r), (B, o), (B, 1), all float32; r is 1 for most methods."""

    obs: Tensor
    action: Tensor
    reward: Tensor
    next_obs: Tensor
    terminated: Tensor


class ReplayBuffer:
    """Holds the last transitions, which must be added in the order of the environment's steps.

    The next observation of a transition is stored in the row after it. The last observation of an episode has a row of
    its own, from which no transition starts.

    Args:
        size: Capacity, as transitions of one endless episode; each episode that ended takes one. Memory is only taken
            from the system as the buffer fills.
        obs_dim: Observation dimension o.
        action_dim: Action dimension n.
        rewards: Number of rewards of a transition, r. Each is set to the transition's; a subclass may overwrite some.
    """

    def __init__(self, size: int, obs_dim: int, action_dim: int, rewards: int = 1) -> None:
        self.rows = size + 1
        self._columns = {
            "obs": torch.empty((self.rows, obs_dim)),
            "action": torch.empty((self.rows, action_dim)),
            "reward": torch.empty((self.rows, rewards)),
            "terminated": torch.empty((self.rows, 1)),
            "starts": torch.zeros(self.rows, dtype=torch.bool),
        }
        self._row = 0
        self._filled = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, transition: Transition) -> None:
        """Store one transition with the action that the critic learns from; truncated is not terminated."""
        columns, row, following = self._columns, self._row, (self._row + 1) % self.rows
        columns["obs"][row] = transition.obs[0]
        columns["action"][row] = transition.action[0]
        columns["reward"][row] = transition.reward
        columns["terminated"][row] = float(transition.terminated)
        columns["obs"][following] = transition.next_obs[0]
        self._mark(row, starts=True)
        self._mark(following, starts=False)
        self._filled = max(self._filled, row + 1, following + 1)
        ended = transition.terminated or transition.truncated
        self._row = (following + 1) % self.rows if ended else following

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """``count`` transitions, uniform with replacement."""
        rows = torch.randint(self._filled, (count,), generator=generator)
        while not bool((starts := self._columns["starts"][rows]).all()):
            again = torch.randint(self._filled, (count,), generator=generator)
            rows = torch.where(starts, rows, again)
        obs, action, reward, terminated = (
            self._columns[name].index_select(0, rows) for name in ("obs", "action", "reward", "terminated")
        )
        next_obs = self._columns["obs"].index_select(0, (rows + 1) % self.rows)
        return Batch(obs, action, reward, next_obs, terminated)

    def state_dict(self) -> Tensors:
        """The rows filled so far, and the index of the next row; shares memory with the buffer."""
        state = {name: column[: self._filled] for name, column in self._columns.items()}
        return state | {"counters": torch.tensor([self._row, self._filled, self._count])}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the state of :meth:`state_dict`.

        Raises:
            KeyError: If an entry is missing.
            RuntimeError: If an entry has another shape.
        """
        self._row, self._filled, self._count = state["counters"].tolist()
        for name, column in self._columns.items():
            column[: self._filled] = state[name]

    def _mark(self, row: int, starts: bool) -> None:
        marks = self._columns["starts"]
        self._count += int(starts) - int(marks[row])
        marks[row] = starts
