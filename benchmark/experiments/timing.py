"""What samplers cost, on sets that grow."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import brentq
from torch import Tensor

from benchmark.analysis.statistics import point
from benchmark.experiments.base import Row, make_row
from envs.constraints import Allocation, Constraint, WeightedL1
from envs.sampling.diagnostics import diagnose
from envs.sampling.hmc import HMCConfig, sample_hmc
from envs.sampling.psdd import PSDD, compile_allocation, sample_psdd
from envs.sampling.rejection import sample_rejection

if TYPE_CHECKING:
    import cvxpy as cp


Box = Literal["action", "bounding"]
ONE_RUN = "none: one run"
CHAINS = 200
# Proposals of a probe: enough for a share of a hundredth to be known to a fiftieth of itself.
PROBE = 1 << 18
CHUNK = 1 << 16


@dataclass(frozen=True)
class Probe:
    """What proposals are worth.

    Attributes:
        share: Share of them that is feasible.
        seconds: Cost of one.
    """

    share: float
    seconds: float

    def cost(self, count: int) -> float:
        """Expected seconds for ``count`` samples by rejection; infinite where no proposal was feasible."""
        return count / self.share * self.seconds if self.share else math.inf


def row(quantity: str, unit: str, value: float | None, note: str = "") -> Row:
    """One number of one run."""
    return make_row(quantity, unit, point(value, 1, ONE_RUN), note=note)


def rejection_rows(
    constraint: Constraint, obs: Tensor, box: Box, limit: float, share: float | None, generator: torch.Generator
) -> Iterator[Row]:
    """Cost of one sample a row of ``obs`` (N, o) by rejection; its expectation where that is over ``limit`` seconds.

    Args:
        constraint: The set.
        obs: States, one for each sample.
        box: What is drawn from.
        limit: Seconds after which it would be given up.
        share: Share of that box that is feasible; estimated if not known.
        generator: Source of randomness.
    """
    found = probe(constraint, obs[:1], box, generator)
    known = found if share is None else Probe(share, found.seconds)
    expected = known.cost(len(obs))
    if expected > limit:
        yield from given_up(len(obs), expected, limit, known.share)
        return
    start = time.perf_counter()
    samples = sample_rejection(constraint, obs, generator, box)
    yield from independent(len(obs), time.perf_counter() - start, samples.acceptance)


def probe(constraint: Constraint, obs: Tensor, box: Box, generator: torch.Generator) -> Probe:
    """Share of a box that is feasible at a state (1, o), and the time that a proposal takes."""
    if box == "bounding":
        lower, upper = constraint.bounding_box(obs)
    else:
        lower, upper = torch.as_tensor(constraint.lower), torch.as_tensor(constraint.upper)
    states = obs.expand(CHUNK, -1)
    hits, seconds = 0, []
    for _ in range(PROBE // CHUNK):
        start = time.perf_counter()
        u = torch.rand((CHUNK, constraint.dim), generator=generator, dtype=torch.float64)
        hits += int(constraint.contains(lower + u * (upper - lower), states).sum())
        seconds.append(time.perf_counter() - start)
    # The median: the first rounds pay for what later ones find ready.
    return Probe(hits / PROBE, sorted(seconds)[len(seconds) // 2] / CHUNK)


def hmc_rows(constraint: Constraint, obs: Tensor, generator: torch.Generator) -> Iterator[Row]:
    """Cost of as many samples as ``obs`` (N, o) has rows, all of one state, by Hamiltonian Monte-Carlo."""
    chains = obs[:CHAINS]
    start = time.perf_counter()
    samples = sample_hmc(constraint, chains, generator, HMCConfig(draws=math.ceil(len(obs) / len(chains))))
    seconds = time.perf_counter() - start
    drawn = len(samples.actions)
    known = diagnose(samples, constraint, chains)
    yield row("seconds", "seconds", seconds * len(obs) / drawn)
    yield row("samples_per_second", "1/s", drawn / seconds)
    yield row("effective_per_second", "1/s", None if known.ess is None else known.ess / seconds)
    yield row("acceptance", "share", samples.acceptance)
    yield row("rhat", "ratio", known.rhat)


def psdd_rows(constraint: Allocation, count: int, generator: torch.Generator) -> tuple[PSDD, list[Row]]:
    """Cost of a diagram of the whole allocations, and of samples from it; what rejection does is told by its models."""
    start = time.perf_counter()
    diagram = compile_allocation(constraint)
    compiled = time.perf_counter()
    sample_psdd(diagram, count, generator)
    rows = [
        row("compile_seconds", "seconds", compiled - start),
        row("models", "points", float(diagram.models)),
        row("nodes", "nodes", float(diagram.nodes)),
        *independent(count, time.perf_counter() - compiled, 1.0),
    ]
    return diagram, rows


def integer_rejection_rows(
    constraint: Allocation, count: int, models: int, plane: bool, limit: float, generator: torch.Generator
) -> Iterator[Row]:
    """Cost of ``count`` whole allocations, uniform on all, by rejection; its expectation where that is over the limit.

    Args:
        constraint: Whole total and limits.
        count: Samples.
        models: Number of whole allocations.
        plane: Whether the last coordinate is set by the total, or drawn like the others.
        limit: Seconds after which it would be given up.
        generator: Source of randomness.
    """
    drawn = constraint.free_dim if plane else constraint.dim
    sizes = torch.as_tensor(constraint.upper - constraint.lower)[:drawn] + 1
    share = models / float(sizes.prod())
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        draw_integers(constraint, sizes, CHUNK, generator)
        seconds.append((time.perf_counter() - start) / CHUNK)
    expected = Probe(share, sorted(seconds)[len(seconds) // 2]).cost(count)
    if expected > limit:
        yield from given_up(count, expected, limit, share)
        return
    start, kept, tried = time.perf_counter(), 0, 0
    while kept < count:
        proposals = min(CHUNK, math.ceil((count - kept) / share))
        kept += draw_integers(constraint, sizes, proposals, generator)
        tried += proposals
    # The last round may give a few more than were wanted.
    yield from independent(count, (time.perf_counter() - start) * count / kept, kept / tried)


def draw_integers(constraint: Allocation, sizes: Tensor, count: int, generator: torch.Generator) -> int:
    """How many of ``count`` whole points, uniform on a box of ``sizes`` (d,), are feasible."""
    u = torch.rand((count, len(sizes)), generator=generator, dtype=torch.float64)
    whole = torch.as_tensor(constraint.lower)[: len(sizes)] + (u * sizes).floor()
    actions = constraint.from_free(whole) if len(sizes) < constraint.dim else whole
    return int(constraint.contains(actions, torch.empty((count, 0), dtype=torch.float64)).sum())


def independent(count: int, seconds: float, acceptance: float) -> Iterator[Row]:
    """Rows of independent samples, each of which is an effective one."""
    yield row("seconds", "seconds", seconds)
    yield row("samples_per_second", "1/s", count / seconds)
    yield row("effective_per_second", "1/s", count / seconds)
    yield row("acceptance", "share", acceptance)


def given_up(count: int, expected: float, limit: float, share: float) -> Iterator[Row]:
    """Rows of a sampler that was not run: what it is expected to cost, and why it was not run."""
    if not math.isfinite(expected):
        yield row("acceptance", "share", 0.0, f"given up: none of {PROBE:,} proposals was feasible")
        return
    note = f"given up at {limit:g} s: expected, 1/share proposals a sample"
    yield row("seconds", "seconds", expected, note)
    yield row("samples_per_second", "1/s", count / expected, note)
    yield row("effective_per_second", "1/s", count / expected, note)
    yield row("acceptance", "share", share, note)


class Polytope(Constraint):
    """``<normal_j, a> <= distance`` for m half-spaces within [-1, 1]^n: 0 lies inside, ``distance`` from every face.

    Args:
        normals: (m, n), unit vectors.
        distance: Positive.
    """

    def __init__(self, normals: NDArray[np.float64], distance: float) -> None:
        ones = np.ones(normals.shape[1])
        super().__init__(-ones, ones)
        self.normals = normals
        self.distance = distance

    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.violation`."""
        self.check(action, obs)
        normals = torch.as_tensor(self.normals, dtype=action.dtype)
        return torch.cat([action @ normals.T - self.distance, self.box_violation(action)], dim=1)

    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:  # noqa: ARG002
        """The same set for cvxpy."""
        return [self.normals @ x <= self.distance, x >= self.lower, x <= self.upper]

    def interior(self, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.interior`: 0."""
        return torch.zeros((obs.shape[0], self.dim), dtype=obs.dtype)


def random_polytope(dim: int, count: int, distance: float, generator: torch.Generator) -> Polytope:
    """A polytope with ``count`` faces in independent, uniform directions."""
    normals = torch.randn((count, dim), generator=generator, dtype=torch.float64)
    return Polytope((normals / torch.linalg.vector_norm(normals, dim=1, keepdim=True)).numpy(), distance)


def cross_polytope(dim: int, share: float) -> WeightedL1:
    """``sum_i |w_i a_i| <= bound`` within [-1, 1]^n that is this share of the box where every w_i is 1."""
    bound = float(brentq(lambda total: irwin_hall(dim, total) - share, 0.0, float(dim), xtol=1e-14))
    return WeightedL1(bound, -np.ones(dim), np.ones(dim), range(dim))


def irwin_hall(dim: int, total: float) -> float:
    """Probability that ``dim`` independent uniforms on [0, 1] sum to at most ``total`` (Irwin 1927, Hall 1927)."""
    terms = ((-1) ** k * math.comb(dim, k) * (total - k) ** dim for k in range(math.floor(total) + 1))
    return math.fsum(terms) / math.factorial(dim)
