"""Planes through sets of feasible actions, and the states at which sets are shown."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from envs.constraints.base import Constraint
from envs.constraints.notation import subscript
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.sampling.dataset import embed, rollout_contexts

ROLLOUT_STEPS = 300
SIDES = 2
# Points along each side of the grids that shares are computed on.
COARSE, FINE = 13, 201
# A plane with a larger feasible share than this does not show the constraint.
UNCUT = 0.999
# Margin on each side of the feasible region, as a share of its width.
MARGIN = 0.3


@dataclass(frozen=True)
class Slice:
    """The plane of two (groups of) free coordinates of an action; the others stay at the interior point.

    Free coordinates are those that equalities leave: all of them, except for an allocation, where the last one follows
    from the total.

    Attributes:
        constraint: The set.
        x: Indices of the free coordinates that move together along the horizontal axis.
        y: Indices of those along the vertical axis.
    """

    constraint: Constraint
    x: tuple[int, ...]
    y: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether the plane holds all of C(s)."""
        return self.constraint.free_dim == 2

    def actions(self, points: Tensor, obs: Tensor) -> Tensor:
        """Actions (B, n) at points (B, 2) of the plane through the interior point at ``obs`` (1, o)."""
        free = self.constraint.to_free(self.constraint.interior(obs)).repeat(len(points), 1)
        free[:, list(self.x)] = points[:, :1]
        free[:, list(self.y)] = points[:, 1:]
        return self.constraint.from_free(free)

    def coordinates(self, actions: Tensor) -> Tensor:
        """The points (B, 2) of the plane nearest to actions (B, n)."""
        free = self.constraint.to_free(actions)
        return torch.stack([free[:, list(self.x)].mean(dim=1), free[:, list(self.y)].mean(dim=1)], dim=1)

    def violation(self, points: Tensor, obs: Tensor) -> Tensor:
        """The largest signed violation at points (B, 2): (B,), at most 0 if the action is feasible."""
        actions = self.actions(points, obs)
        return self.constraint.violation(actions, obs.expand(len(actions), -1)).amax(dim=1)

    def box(self) -> tuple[Tensor, Tensor]:
        """Ends of the action box in the plane: (2,), (2,)."""
        lower, upper = (torch.as_tensor(end)[None] for end in (self.constraint.lower, self.constraint.upper))
        return self.coordinates(lower)[0], self.coordinates(upper)[0]

    def names(self) -> tuple[str, str]:
        """The axes' names, such as ``"a₁"`` or ``"a₁ = a₂"``."""
        first, second = (" = ".join(f"a{subscript(i + 1)}" for i in group) for group in (self.x, self.y))
        return first, second


def grid(lower: Tensor, upper: Tensor, count: int) -> Tensor:
    """Points of a grid between two corners (2,): (count * count, 2), the first coordinate running fastest."""
    across, up = (torch.linspace(float(lower[k]), float(upper[k]), count, dtype=torch.float64) for k in (0, 1))
    second, first = torch.meshgrid(up, across, indexing="ij")
    return torch.stack([first.flatten(), second.flatten()], dim=1)


def share(plane: Slice, obs: Tensor, count: int = COARSE) -> float:
    """Share of the action box in a plane that is feasible at ``obs`` (1, o)."""
    return float((plane.violation(grid(*plane.box(), count), obs) <= 0).double().mean())


def visited_states(task: TaskSpec, seed: int) -> Tensor:
    """Observations (N, o) of episodes with random feasible actions; one if the constraint ignores the state.

    Only the variables that enter the constraint are set.
    """
    constraint = task.constraint
    if not constraint.context_indices:
        return embed(constraint, torch.empty((1, 0), dtype=torch.float64))
    return embed(constraint, rollout_contexts(task, ROLLOUT_STEPS, seed))


def choose_slice(constraint: Constraint, states: Tensor) -> Slice:
    """The plane of two coordinates with the smallest feasible share at the states (N, o).

    If C(s) cuts none of the planes, as a large ball may, half of the coordinates move together along each axis.

    Raises:
        UserError: If there is only one free coordinate.
    """
    dim = constraint.free_dim
    if dim < SIDES:
        raise UserError(f"{type(constraint).__name__} cannot be drawn: it has only one free coordinate")
    pairs = [Slice(constraint, (i,), (j,)) for i, j in itertools.combinations(range(dim), 2)]
    if len(pairs) == 1:
        return pairs[0]
    some = states[:: max(1, len(states) // 50)]
    means = [sum(share(plane, obs[None]) for obs in some) / len(some) for plane in pairs]
    if min(means) > UNCUT:
        return Slice(constraint, tuple(range(dim // 2)), tuple(range(dim // 2, dim)))
    return pairs[means.index(min(means))]


def choose_states(plane: Slice, states: Tensor) -> Tensor:
    """Three of the states (N, o), with the largest, a middle and the smallest feasible share of the plane: (3, o).

    If the constraint ignores the state, the only state is returned.
    """
    if len(states) == 1:
        return states
    shares = torch.tensor([share(plane, obs[None]) for obs in states])
    half_way = (shares - (shares.max() + shares.min()) / 2).abs()
    return states[[int(shares.argmax()), int(half_way.argmin()), int(shares.argmin())]]


def window(plane: Slice, states: Tensor) -> tuple[Tensor, Tensor]:
    """Corners (2,), (2,) of the square around the feasible region at all states (S, o), with a margin."""
    points = grid(*plane.box(), FINE)
    inside = torch.stack([plane.violation(points, obs[None]) <= 0 for obs in states]).any(dim=0)
    shown = points[inside] if bool(inside.any()) else points
    lower, upper = shown.amin(dim=0), shown.amax(dim=0)
    middle, half = (upper + lower) / 2, (0.5 + MARGIN) * (upper - lower).max()
    return middle - half, middle + half
