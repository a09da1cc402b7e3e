"""Runs and times samplers of feasible actions, for ``acrl sample`` and E2, and on growing sets for N2."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Literal, TypeVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from envs.constraints import Allocation, Constraint
from envs.errors import UnknownIdError, UserError
from envs.registry import TaskSpec
from envs.sampling.dataset import embed, rollout_contexts
from envs.sampling.diagnostics import diagnose
from envs.sampling.hmc import HMCConfig, sample_hmc
from envs.sampling.psdd import compile_allocation, sample_psdd
from envs.sampling.rejection import sample_rejection
from envs.seeding import derive_seed, make_generator

SAMPLERS = ("rejection", "hmc", "psdd")
ROLLOUT_STEPS = 1_000
# HMC: chains at each state, which R-hat compares, and draws of each chain, if that many are wanted.
CHAINS = 4
DRAWS = 100
MOST_STATES = 250
# HMC at a single state: draws of each chain, and the most chains. R-hat falls below 1.01 only for chains this long, and
# many chains at once cost little more than one.
DRAWS_OF_ONE_STATE = 500
CHAINS_OF_ONE_STATE = 1_000
# Proposals of a probe: enough to know a share of 0.01 within 2%.
PROBE = 1 << 18
CHUNK = 1 << 16

Made = TypeVar("Made")
Clock = Callable[[], float]
Box = Literal["action", "bounding"]
# A sampler's cost and quality by quantity, and a note on these numbers.
Cost = tuple[dict[str, float | None], str]


class SampleReport(BaseModel):
    """Report of a sampler. Numbers that it does not have are None; other attributes are those of ``Samples``.

    Attributes:
        task: Id of the task.
        sampler: One of :data:`SAMPLERS`.
        seed: Seed of all randomness.
        states: Number of states that the samples cycle through; 1 if the constraint ignores the state.
        samples: Number of samples.
        seconds: Wall-clock of sampling, including the warm-up of HMC and excluding the compilation of a PSDD.
        samples_per_second: ``samples / seconds``.
        ess_per_second: Effective samples per second.
        compile_seconds: Wall-clock of compiling the PSDD.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    sampler: str
    seed: int
    states: int
    samples: int
    seconds: float
    samples_per_second: float
    proposals: int
    acceptance: float
    jump_acceptance: float | None = None
    ess: float | None = None
    ess_per_second: float | None = None
    rhat: float | None = None
    step_size: float | None = None
    models: int | None = None
    nodes: int | None = None
    compile_seconds: float | None = None

    def describe(self) -> str:
        """The report as lines of text."""
        shown = {
            "samples": (self.samples, ","),
            "states": (f"{self.states} from rollouts of random feasible actions" if self.states > 1 else "1", ""),
            "seconds": (self.seconds, ".4g"),
            "samples per second": (self.samples_per_second, ",.0f"),
            "acceptance": (self.acceptance, ".4%"),
            "acceptance of jumps": (self.jump_acceptance, ".4%"),
            "effective samples": (self.ess, ",.0f"),
            "effective per second": (self.ess_per_second, ",.0f"),
            "R-hat": (self.rhat, ".4f"),
            "step size": (self.step_size, ".4f"),
            "models": (self.models, ","),
            "diagram nodes": (self.nodes, ","),
            "compile seconds": (self.compile_seconds, ".4g"),
        }
        lines = [f"  {name:20} {value:{form}}" for name, (value, form) in shown.items() if value is not None]
        return "\n".join([f"{self.task} by {self.sampler}, seed {self.seed}", *lines])


def run_sampler(
    task: TaskSpec, sampler: str, count: int, seed: int, clock: Clock = time.perf_counter
) -> tuple[Tensor, SampleReport]:
    """Sample actions (count, n), float64, and report on it. Row i is at state i modulo the number of states.

    The states are the same for every sampler. ``clock`` gives the time in seconds.

    Raises:
        UserError: If there is no such sampler, it does not apply to the task, or the set is too small for it.
    """
    if sampler not in SAMPLERS:
        raise UnknownIdError("sampler", sampler, SAMPLERS)
    constraint, generator = task.constraint, make_generator(seed, "sample", sampler)
    states, compile_seconds = draw_states(task, count, seed), None
    if sampler == "rejection":
        obs = states[torch.arange(count) % len(states)]
        samples, seconds = timed(lambda: sample_rejection(constraint, obs, generator), clock)
    elif sampler == "hmc":
        obs = states.repeat(CHAINS, 1)[:count]
        config = HMCConfig(draws=math.ceil(count / len(obs)))
        samples, seconds = timed(lambda: sample_hmc(constraint, obs, generator, config), clock)
        samples = diagnose(samples, constraint, obs)
    elif isinstance(constraint, Allocation):
        diagram, compile_seconds = timed(lambda: compile_allocation(constraint), clock)
        samples, seconds = timed(lambda: sample_psdd(diagram, count, generator), clock)
    else:
        raise UserError(
            f"sampler psdd only samples whole allocations, as of BSS-3, and task '{task.id}' has a "
            f"{type(constraint).__name__}: use rejection or hmc"
        )
    # Chains may draw a few more samples than were wanted.
    ess = None if samples.ess is None else samples.ess * count / len(samples.actions)
    shared = ("proposals", "acceptance", "jump_acceptance", "rhat", "step_size", "models", "nodes")
    report = SampleReport(
        task=task.id,
        sampler=sampler,
        seed=seed,
        states=len(states) if constraint.context_indices else 1,
        samples=count,
        seconds=seconds,
        samples_per_second=count / seconds,
        ess=ess,
        ess_per_second=None if ess is None else ess / seconds,
        compile_seconds=compile_seconds,
        **{name: getattr(samples, name) for name in shared},
    )
    return samples.actions[:count], report


def timed(work: Callable[[], Made], clock: Clock = time.perf_counter) -> tuple[Made, float]:
    """The result of ``work`` and the seconds it took."""
    began = clock()
    made = work()
    return made, clock() - began


def draw_states(task: TaskSpec, count: int, seed: int) -> Tensor:
    """Observations (S, o) for ``count`` samples: one per 400 samples, at least 1 and at most 250.

    They come from rollouts of random feasible actions (``envs.sampling.dataset``). Only the variables that enter the
    constraint are set.
    """
    states = min(max(count // (CHAINS * DRAWS), 1), MOST_STATES)
    if not task.constraint.context_indices:
        return embed(task.constraint, torch.empty((states, 0), dtype=torch.float64))
    visited = rollout_contexts(task, ROLLOUT_STEPS, derive_seed(seed, "states"))
    chosen = torch.randperm(len(visited), generator=make_generator(seed, "states"))[:states]
    return embed(task.constraint, visited[chosen])


# --- on one set, for N2 ---------------------------------------------------------------------------------------------


def rejection_cost(
    constraint: Constraint, obs: Tensor, box: Box, limit: float, share: float | None, generator: torch.Generator
) -> Cost:
    """Cost of one sample per row of ``obs`` (N, o) by rejection, or the expected cost if it exceeds ``limit`` seconds.

    ``share`` is the feasible share of the box; None estimates it.
    """
    estimated, of_one = probe(constraint, obs[:1], box, generator)
    share = estimated if share is None else share
    expected = expected_seconds(len(obs), share, of_one)
    if expected > limit:
        return given_up(len(obs), expected, limit, share)
    samples, seconds = timed(lambda: sample_rejection(constraint, obs, generator, box))
    return independent(len(obs), seconds, samples.acceptance), ""


def probe(constraint: Constraint, obs: Tensor, box: Box, generator: torch.Generator) -> tuple[float, float]:
    """The feasible share of a box at a state (1, o), and the seconds per proposal."""
    if box == "bounding":
        lower, upper = constraint.bounding_box(obs)
    else:
        lower, upper = torch.as_tensor(constraint.lower), torch.as_tensor(constraint.upper)
    states = obs.expand(CHUNK, -1)

    def count_hits() -> int:
        u = torch.rand((CHUNK, constraint.dim), generator=generator, dtype=torch.float64)
        return int(constraint.contains(lower + u * (upper - lower), states).sum())

    hits, seconds = zip(*(timed(count_hits) for _ in range(PROBE // CHUNK)), strict=True)
    # The median, since the first rounds pay for caches.
    return sum(hits) / PROBE, statistics.median_high(seconds) / CHUNK


def expected_seconds(count: int, share: float, of_one: float) -> float:
    """Expected seconds for ``count`` samples by rejection; infinite if no proposal was feasible."""
    return count / share * of_one if share else math.inf


def hmc_cost(constraint: Constraint, obs: Tensor, generator: torch.Generator) -> Cost:
    """Cost of N samples at one state by Hamiltonian Monte-Carlo; ``obs`` (N, o) repeats the state."""
    chains = obs[: min(max(len(obs) // DRAWS_OF_ONE_STATE, CHAINS), CHAINS_OF_ONE_STATE)]
    config = HMCConfig(draws=math.ceil(len(obs) / len(chains)))
    samples, seconds = timed(lambda: sample_hmc(constraint, chains, generator, config))
    drawn = len(samples.actions)
    known = diagnose(samples, constraint, chains)
    return {
        "seconds": seconds * len(obs) / drawn,
        "samples_per_second": drawn / seconds,
        "effective_per_second": None if known.ess is None else known.ess / seconds,
        "acceptance": samples.acceptance,
        "rhat": known.rhat,
    }, ""


def psdd_cost(constraint: Allocation, count: int, generator: torch.Generator) -> tuple[int, Cost]:
    """The number of whole allocations, and the cost of compiling and sampling their PSDD."""
    diagram, compile_seconds = timed(lambda: compile_allocation(constraint))
    _, seconds = timed(lambda: sample_psdd(diagram, count, generator))
    size = {"compile_seconds": compile_seconds, "models": float(diagram.models), "nodes": float(diagram.nodes)}
    return diagram.models, (size | independent(count, seconds, 1.0), "")


def integer_rejection_cost(
    constraint: Allocation, count: int, models: int, plane: bool, limit: float, generator: torch.Generator
) -> Cost:
    """Cost of ``count`` uniform whole allocations by rejection, or the expected cost if it exceeds the limit.

    ``models`` is the number of whole allocations. With ``plane``, the last coordinate follows from the total; otherwise
    it is drawn like the others.
    """
    drawn = constraint.free_dim if plane else constraint.dim
    sizes = torch.as_tensor(constraint.upper - constraint.lower)[:drawn] + 1
    share = models / float(sizes.prod())
    seconds = [timed(lambda: draw_integers(constraint, sizes, CHUNK, generator))[1] for _ in range(5)]
    expected = expected_seconds(count, share, statistics.median_high(seconds) / CHUNK)
    if expected > limit:
        return given_up(count, expected, limit, share)
    start, kept, tried = time.perf_counter(), 0, 0
    while kept < count:
        proposals = min(CHUNK, math.ceil((count - kept) / share))
        kept += draw_integers(constraint, sizes, proposals, generator)
        tried += proposals
    # The last round may accept a few more than were wanted.
    return independent(count, (time.perf_counter() - start) * count / kept, kept / tried), ""


def draw_integers(constraint: Allocation, sizes: Tensor, count: int, generator: torch.Generator) -> int:
    """Number of feasible points among ``count`` whole ones, uniform on a box of ``sizes`` (d,)."""
    u = torch.rand((count, len(sizes)), generator=generator, dtype=torch.float64)
    whole = torch.as_tensor(constraint.lower)[: len(sizes)] + (u * sizes).floor()
    actions = constraint.from_free(whole) if len(sizes) < constraint.dim else whole
    return int(constraint.contains(actions, torch.empty((count, 0), dtype=torch.float64)).sum())


def independent(count: int, seconds: float, acceptance: float) -> dict[str, float | None]:
    """The cost of independent samples, where each sample is an effective one."""
    rate = count / seconds
    return {"seconds": seconds, "samples_per_second": rate, "effective_per_second": rate, "acceptance": acceptance}


def given_up(count: int, expected: float, limit: float, share: float) -> Cost:
    """The expected cost of a sampler that was not run, and why it was not."""
    if not math.isfinite(expected):
        return {"acceptance": 0.0}, f"given up: none of {PROBE:,} proposals was feasible"
    return independent(count, expected, share), f"given up at {limit:g} s: expected, 1/share proposals a sample"
