"""Rejection sampling: draws from a box until one is feasible. Exact, independent, and slow where C(s) is small."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.sampling.samples import Samples

# Points tested at a time: enough to drown the fixed cost of tensor operations, few enough to stay in the cache.
CHUNK = 1 << 16
MAX_PROPOSALS = 500_000_000

Ends = tuple[Tensor, Tensor]


def sample_rejection(
    constraint: Constraint,
    obs: Tensor,
    generator: torch.Generator,
    box: Literal["action", "bounding"] = "action",
    max_proposals: int = MAX_PROPOSALS,
) -> Samples:
    """One feasible action a row, uniform on C(s), by rejection from a box (FlowPG, section 3.2).

    A row's result is the first feasible one of independent uniform draws, which is uniform on C(s) (von Neumann 1951).
    Rows that fail are drawn again, several at a time, so that few hard rows cost few tensor operations. Where an
    equality holds, no box around C(s) holds it with positive probability: draws are then made in free coordinates,
    from ``constraint.free_box``, whatever ``box`` says.

    Args:
        constraint: The set.
        obs: States (N, o), one for each sample.
        generator: Source of randomness, on the CPU.
        box: Draw from the action box, or from ``constraint.bounding_box(obs)``, which is tighter.
        max_proposals: Give up on a group of 65,536 rows after so many draws; the default is about a minute's.

    Returns:
        Samples with actions (N, n); memory beyond these and ``obs`` does not grow with N.

    Raises:
        UserError: If there is no state, or the limit is reached: the set is empty or very small.
    """
    if not len(obs):
        raise UserError("rejection: no states given; give one row of obs for each sample")
    actions = torch.empty((len(obs), constraint.dim), dtype=torch.float64)
    used = 0
    for start in range(0, len(obs), CHUNK):
        rows = obs[start : start + CHUNK].double()
        fill = _Filling(constraint, rows, _ends(constraint, rows, box), actions[start : start + CHUNK])
        while len(fill.missing):
            if fill.drawn >= max_proposals:
                raise UserError(_hopeless(fill))
            fill.round(generator)
        used += fill.used
    return Samples(actions, proposals=used, acceptance=len(obs) / used)


def _ends(constraint: Constraint, obs: Tensor, box: str) -> Ends:
    """The box to draw from, in free coordinates: two tensors (N, d)."""
    if constraint.free_dim == constraint.dim and box == "bounding":
        return constraint.bounding_box(obs)
    plane = constraint.free_dim < constraint.dim
    lower, upper = constraint.free_box if plane else (constraint.lower, constraint.upper)
    shape = len(obs), constraint.free_dim
    return torch.as_tensor(lower).expand(shape), torch.as_tensor(upper).expand(shape)


class _Filling:
    """One group of rows on the way to being filled.

    Args:
        constraint: The set.
        obs: (M, o).
        ends: Box to draw from, two tensors (M, d).
        actions: (M, n), filled in place.
    """

    def __init__(self, constraint: Constraint, obs: Tensor, ends: Ends, actions: Tensor) -> None:
        self._constraint = constraint
        self._obs = obs
        self._ends = ends
        self.actions = actions
        self._tries = 1
        self.missing = torch.arange(len(obs))
        self.drawn = 0
        self.used = 0

    def round(self, generator: torch.Generator) -> None:
        """Draw for every missing row, twice as often a row as in the round before while that fits in a chunk."""
        rows, tries = self.missing, min(self._tries, max(1, CHUNK // len(self.missing)))
        self._tries = 2 * tries
        lower, upper = (end[rows, None] for end in self._ends)
        u = torch.rand((len(rows), tries, lower.shape[-1]), generator=generator, dtype=torch.float64)
        draws = self._constraint.from_free((lower + u * (upper - lower)).flatten(0, 1))
        obs = self._obs[rows].repeat_interleave(tries, dim=0)
        feasible = self._constraint.contains(draws, obs).view(len(rows), tries)
        found, first = feasible.any(dim=1), feasible.int().argmax(dim=1)
        self.actions[rows[found]] = draws.view(len(rows), tries, -1)[found, first[found]]
        # Draws after a row's first feasible one are surplus of drawing several at a time, not of the method.
        self.used += int(torch.where(found, first + 1, tries).sum())
        self.drawn += len(draws)
        self.missing = rows[~found]


def _hopeless(fill: _Filling) -> str:
    wanted = len(fill.actions)
    share = (wanted - len(fill.missing)) / fill.drawn
    return (
        f"rejection: {fill.drawn:,} proposals left {len(fill.missing):,} of {wanted:,} states without a sample "
        f"(acceptance {share:.1e}): the set is empty or very small; allow more proposals, draw from the bounding box, "
        "or use hmc"
    )
