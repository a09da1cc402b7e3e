"""Hamiltonian Monte Carlo for the uniform density on C(s), convex or not, with many chains in one tensor operation."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.sampling.rejection import ends
from envs.sampling.samples import Samples

# Chains that advance together and share one step size.
GROUP = 1 << 14
START_ROUNDS = 200
SMALLEST_STEP, LARGEST_STEP = 1e-6, 1.0
# Robbins-Monro gains fall as t^-0.6: slowly enough to reach any step size, fast enough to settle there.
GAIN, DECAY = 2.0, 0.6


@dataclass(frozen=True)
class HMCConfig:
    """Settings of HMC; the defaults work on all tasks.

    Attributes:
        draws: Draws kept per chain, one per iteration.
        warmup: Iterations before them that adapt the step size; 0 keeps ``step_size``.
        steps: Steps per trajectory, L.
        target: Target share of accepted steps, between 0 and 1.
        step_size: Initial step size, in half-widths of the bounding box.
        jumps: Whether every iteration ends with a uniform proposal in the bounding box. Without it, chains cannot move
            between separate components.
        start: Where chains start: ``"rejection"`` first tries some rounds of uniform points in the bounding box;
            ``"interior"`` starts at ``constraint.interior``.

    Raises:
        UserError: If a setting is out of range.
    """

    draws: int = 100
    warmup: int = 50
    steps: int = 4
    target: float = 0.8
    step_size: float = 0.3
    jumps: bool = True
    start: Literal["rejection", "interior"] = "rejection"

    def __post_init__(self) -> None:
        if self.draws < 1 or self.steps < 1 or self.warmup < 0:
            raise UserError("hmc: draws and steps must be 1 or more, warmup 0 or more")
        if not (0 < self.target < 1 and SMALLEST_STEP <= self.step_size <= LARGEST_STEP):
            raise UserError(f"hmc: target must lie in (0, 1), step_size in [{SMALLEST_STEP:g}, {LARGEST_STEP:g}]")


def sample_hmc(
    constraint: Constraint, obs: Tensor, generator: torch.Generator, config: HMCConfig | None = None
) -> Samples:
    """Draw from one Markov chain per row of ``obs``, whose limit is the uniform distribution on its C(s).

    If the density is flat, Hamiltonian motion is straight, and Hamiltonian Monte-Carlo reduces to reflections at the
    boundary (:func:`step`). An iteration draws velocities from a standard normal, makes L such steps, and ends with a
    jump: a uniform point of the bounding box, accepted if it is feasible. Both leave the uniform density invariant, and
    so does an iteration.

    Positions and velocities are in half-widths of ``constraint.bounding_box(obs)``, so one step size fits sets of
    different sizes; under an equality, they are in free coordinates and half-widths of ``constraint.free_box``. The
    step size is adapted during the warm-up and then fixed, for each group of 16,384 chains. Chains that start by
    rejection are uniform from the start and only need the warm-up for their step size; others also have to forget
    their start.

    Args:
        constraint: The set.
        obs: States (C, o), one for each chain.
        generator: Source of randomness, on the CPU.
        config: Settings; by default those of :class:`HMCConfig`.

    Returns:
        Samples with actions (draws x C, n): the first draw of every chain, then the second of every chain. See
        :func:`envs.sampling.diagnostics.diagnose` for the effective sample size.

    Raises:
        UserError: If there is no state, or no feasible starting point is known.
    """
    if not len(obs):
        raise UserError("hmc: no states given; give one row of obs for each chain")
    config = config or HMCConfig()
    groups = [_run(Space(constraint, rows), generator, config) for rows in torch.split(obs.double(), GROUP)]
    actions, moved, jumped, sizes = zip(*groups, strict=True)
    moves = config.draws * len(obs) * config.steps
    jumps = config.draws * len(obs) if config.jumps else 0
    return Samples(
        torch.cat(actions, dim=1).flatten(0, 1),
        proposals=moves + jumps,
        acceptance=sum(moved) / moves,
        jump_acceptance=sum(jumped) / jumps if jumps else None,
        step_size=sum(sizes) / len(groups),
    )


class Space:
    """C(s) at observations (C, o), float64, in coordinates that run from -1 to 1 over the bounding box."""

    def __init__(self, constraint: Constraint, obs: Tensor) -> None:
        self._constraint = constraint
        self._obs = obs
        lower, upper = ends(constraint, obs, "bounding")
        self._middle, self._half = (lower + upper) / 2, (upper - lower) / 2
        self.shape = lower.shape
        self.all = torch.arange(len(obs))

    def action(self, position: Tensor, rows: Tensor) -> Tensor:
        """Actions (M, n) at positions (M, d) of chains ``rows`` (M,)."""
        return self._constraint.from_free(self._middle[rows] + self._half[rows] * position)

    def feasible(self, position: Tensor, rows: Tensor) -> Tensor:
        """Whether positions (M, d) are feasible, (M,) bool."""
        return self._constraint.contains(self.action(position, rows), self._obs[rows])

    def normal(self, position: Tensor, rows: Tensor) -> Tensor:
        """Unit gradient (M, d) of the summed positive violation at positions (M, d); 0 if the gradient is 0."""
        with torch.enable_grad():
            point = position.detach().requires_grad_(True)
            violation = self._constraint.violation(self.action(point, rows), self._obs[rows])
            (gradient,) = torch.autograd.grad(violation.clamp(min=0).sum(), point)
        length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
        return gradient / torch.where(length > 0, length, 1.0)

    def uniform(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Positions (M, d) uniform on the bounding box."""
        return 2 * torch.rand((len(rows), self.shape[1]), generator=generator, dtype=torch.float64) - 1

    def interior(self, rows: Tensor) -> Tensor:
        """The constraint's interior points as positions (M, d).

        Raises:
            UserError: If one is infeasible.
        """
        free = self._constraint.to_free(self._constraint.interior(self._obs[rows]))
        position: Tensor = (free - self._middle[rows]) / self._half[rows]
        if not bool(self.feasible(position, rows).all()):
            raise UserError("hmc: rejection found no starting point, and the constraint's interior point is infeasible")
        return position


def step(space: Space, position: Tensor, velocity: Tensor, size: float) -> tuple[Tensor, Tensor, int]:
    """One reflective step from x with velocity v.

    1. x1 = x + eps v, accepted if it is feasible;
    2. otherwise v' = v - 2 <v, n> n, where n is the unit gradient at x1 of the summed positive violation, and
       x2 = x1 + eps v', accepted with v' if it is feasible;
    3. otherwise x stays and v becomes -v.

    Each case preserves volume (a shear; two shears with a reflection in between; a flip) and undoes itself when
    repeated with reversed velocity: the way back in case 2 passes the same x1 and finds the same n. If the gradient is
    0, n is 0 and the step passes straight through, both ways. Since |v| is kept, detailed balance holds for the uniform
    density times any isotropic density of v, without a further acceptance step (Betancourt 2011,
    "Nested sampling with constrained Hamiltonian Monte Carlo"; Skilling 2012, "Bayesian computation in big spaces:
    nested sampling and Galilean Monte Carlo").

    Args:
        space: The sets of the chains.
        position: (C, d), feasible.
        velocity: (C, d).
        size: eps, in the space's units.

    Returns:
        Positions, velocities, and the number of chains that moved.
    """
    ahead = position + size * velocity
    free = space.feasible(ahead, space.all)
    rows = (~free).nonzero()[:, 0]
    position = torch.where(free[:, None], ahead, position)
    if not len(rows):
        return position, velocity, len(position)
    incoming, ahead = velocity[rows], ahead[rows]
    normal = space.normal(ahead, rows)
    mirrored = incoming - 2 * (incoming * normal).sum(dim=1, keepdim=True) * normal
    beyond = ahead + size * mirrored
    reflected = space.feasible(beyond, rows)[:, None]
    position[rows] = torch.where(reflected, beyond, position[rows])
    velocity = velocity.index_copy(0, rows, torch.where(reflected, mirrored, -incoming))
    return position, velocity, len(position) - len(rows) + int(reflected.sum())


def _run(space: Space, generator: torch.Generator, config: HMCConfig) -> tuple[Tensor, int, int, float]:
    """Draws (D, C, n) of chains that advance together, numbers of accepted steps and jumps, and the step size."""
    position = _start(space, generator, config)
    size = config.step_size
    sizes = []
    for iteration in range(config.warmup):
        position, moved = _trajectory(space, position, size, config.steps, generator)
        if config.jumps:
            position, _ = _jump(space, position, generator)
        share = moved / (config.steps * len(position))
        size *= math.exp(GAIN * (share - config.target) / (iteration + 1) ** DECAY)
        size = min(max(size, SMALLEST_STEP), LARGEST_STEP)
        sizes.append(size)
    if sizes:
        # The average of the second half is more accurate than the last step size.
        size = statistics.geometric_mean(sizes[len(sizes) // 2 :])
    draws, total, jumped = [], 0, 0
    for _ in range(config.draws):
        position, moved = _trajectory(space, position, size, config.steps, generator)
        total += moved
        if config.jumps:
            position, accepted = _jump(space, position, generator)
            jumped += accepted
        draws.append(space.action(position, space.all))
    return torch.stack(draws), total, jumped, size


def _start(space: Space, generator: torch.Generator, config: HMCConfig) -> Tensor:
    """A feasible position for every chain: (C, d)."""
    position = torch.zeros(space.shape, dtype=torch.float64)
    missing = space.all
    for _ in range(START_ROUNDS if config.start == "rejection" else 0):
        if not len(missing):
            break
        point = space.uniform(missing, generator)
        found = space.feasible(point, missing)
        position[missing[found]] = point[found]
        missing = missing[~found]
    if len(missing):
        position[missing] = space.interior(missing)
    return position


def _trajectory(
    space: Space, position: Tensor, size: float, steps: int, generator: torch.Generator
) -> tuple[Tensor, int]:
    """Positions (C, d) after ``steps`` steps with new velocities, and the number of steps that moved."""
    velocity = torch.randn(space.shape, generator=generator, dtype=torch.float64)
    total = 0
    for _ in range(steps):
        position, velocity, moved = step(space, position, velocity, size)
        total += moved
    return position, total


def _jump(space: Space, position: Tensor, generator: torch.Generator) -> tuple[Tensor, int]:
    """Positions (C, d) after a uniform proposal in the bounding box, and the number accepted."""
    point = space.uniform(space.all, generator)
    free = space.feasible(point, space.all)
    return torch.where(free[:, None], point, position), int(free.sum())
