"""Rejection sampling: draws from a box until a draw is feasible. Exact and independent, but slow if C(s) is small."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.sampling.samples import Samples

# Points to test at a time: enough to hide the fixed cost of tensor operations, few enough for the cache.
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
    """One feasible action per row, uniform on C(s), by rejection from a box (FlowPG, section 3.2).

    A row's result is the first feasible one of independent uniform draws, which is uniform on C(s) (von Neumann 1951).
    Rows that fail are drawn again, several draws at a time, so few hard rows cost few tensor operations. Under an
    equality, draws from a box are infeasible with probability 1: they are then made in free coordinates, from
    ``constraint.free_box``, whatever ``box`` says.

    Args:
        constraint: The set.
        obs: States (N, o), one for each sample.
        generator: Source of randomness, on the CPU.
        box: Whether to draw from the action box, or from ``constraint.bounding_box(obs)``, which is tighter.
        max_proposals: Number of draws after which a group of 65,536 rows is given up; by default about a minute's.

    Returns:
        Samples with actions (N, n); no other memory grows with N.

    Raises:
        UserError: If there is no state, or the limit is reached because the set is empty or very small.
    """
    if not len(obs):
        raise UserError("rejection: no states given; give one row of obs for each sample")
    actions = torch.empty((len(obs), constraint.dim), dtype=torch.float64)
    used = 0
    for start in range(0, len(obs), CHUNK):
        rows = obs[start : start + CHUNK].double()
        bounds = ends(constraint, rows, box)
        used += _fill(constraint, rows, bounds, actions[start : start + CHUNK], generator, max_proposals)
    return Samples(actions, proposals=used, acceptance=len(obs) / used)


def ends(constraint: Constraint, obs: Tensor, box: str) -> Ends:
    """The box to draw from, in free coordinates: two tensors (N, d)."""
    if constraint.free_dim == constraint.dim and box == "bounding":
        return constraint.bounding_box(obs)
    plane = constraint.free_dim < constraint.dim
    lower, upper = constraint.free_box if plane else (constraint.lower, constraint.upper)
    shape = len(obs), constraint.free_dim
    return torch.as_tensor(lower).expand(shape), torch.as_tensor(upper).expand(shape)


def _fill(
    constraint: Constraint, obs: Tensor, box: Ends, actions: Tensor, generator: torch.Generator, max_proposals: int
) -> int:
    """Fill ``actions`` (M, n) in place from boxes (M, d), and count proposals.

    All missing rows are drawn at once, with twice as many draws per row as in the round before, while that fits into a
    chunk.
    """
    missing, tries, drawn, used = torch.arange(len(obs)), 1, 0, 0
    while len(missing):
        if drawn >= max_proposals:
            share = (len(obs) - len(missing)) / drawn
            raise UserError(
                f"rejection: {drawn:,} proposals left {len(missing):,} of {len(obs):,} states without a sample "
                f"(acceptance {share:.1e}), since the set is empty or very small: allow more proposals, draw from the "
                "bounding box, or use hmc"
            )
        tries = min(tries, max(1, CHUNK // len(missing)))
        lower, upper = (end[missing, None] for end in box)
        u = torch.rand((len(missing), tries, lower.shape[-1]), generator=generator, dtype=torch.float64)
        draws = constraint.from_free((lower + u * (upper - lower)).flatten(0, 1))
        feasible = constraint.contains(draws, obs[missing].repeat_interleave(tries, dim=0)).view(len(missing), tries)
        found, first = feasible.any(dim=1), feasible.int().argmax(dim=1)
        actions[missing[found]] = draws.view(len(missing), tries, -1)[found, first[found]]
        # Draws after a row's first feasible one come from drawing several at a time, and do not count.
        used += int(torch.where(found, first + 1, tries).sum())
        drawn += len(draws)
        missing = missing[~found]
        tries *= 2
    return used
