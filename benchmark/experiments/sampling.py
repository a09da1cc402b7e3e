"""Runs samplers of feasible actions and times them: for ``acrl sample`` and E2, and on sets that grow for N2."""

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
# HMC: chains at each state, so that they can be compared, and draws of each chain, where so many are wanted.
CHAINS = 4
DRAWS = 100
MOST_STATES = 250
# HMC at a single state.
CHAINS_OF_ONE_STATE = 200
# Proposals of a probe: enough for a share of a hundredth to be known to a fiftieth of itself.
PROBE = 1 << 18
CHUNK = 1 << 16

Made = TypeVar("Made")
Clock = Callable[[], float]
Box = Literal["action", "bounding"]
# What a sampler took and did, by quantity, and what is to be known of these numbers.
Cost = tuple[dict[str, float | None], str]


class SampleReport(BaseModel):
    """What a sampler did; what it does not have is None. The attributes mean the same as in ``Samples``.

    Attributes:
        task: Id of the task.
        sampler: One of :data:`SAMPLERS`.
        seed: Source of all randomness.
        states: Number of states that the samples are at, in turn; 1 where no state enters the constraint.
        samples: How many.
        seconds: Wall-clock of sampling; of HMC with its warm-up, of a PSDD without its compilation.
        samples_per_second: Their quotient.
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
        """As lines for people."""
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
    """Actions (count, n), float64, and the report. Row i is at state i modulo the number of states.

    The states are the same for every sampler. Seconds are read from ``clock``.

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
            f"sampler psdd is for allocations of whole units such as BSS-3; task '{task.id}' has a "
            f"{type(constraint).__name__}: use rejection or hmc"
        )
    # The last draws of some chains may be more than were wanted.
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
    """What the work returns, and the seconds that it took."""
    began = clock()
    made = work()
    return made, clock() - began


def draw_states(task: TaskSpec, count: int, seed: int) -> Tensor:
    """Observations (S, o) for ``count`` samples: a state for each 400 of them, at least 1 and at most 250.

    They are drawn from rollouts of random feasible actions (``envs.sampling.dataset``) and hold the variables that
    enter the constraint alone.
    """
    states = min(max(count // (CHAINS * DRAWS), 1), MOST_STATES)
    if not task.constraint.context_indices:
        return embed(task.constraint, torch.empty((states, 0), dtype=torch.float64))
    visited = rollout_contexts(task, ROLLOUT_STEPS, derive_seed(seed, "states"))
    chosen = torch.randperm(len(visited), generator=make_generator(seed, "states"))[:states]
    return embed(task.constraint, visited[chosen])


# --- on one set, as N2 asks -----------------------------------------------------------------------------------------


def rejection_cost(
    constraint: Constraint, obs: Tensor, box: Box, limit: float, share: float | None, generator: torch.Generator
) -> Cost:
    """Cost of one sample a row of ``obs`` (N, o) by rejection; its expectation where that is over ``limit`` seconds.

    ``share`` is that of the box that is feasible; it is estimated if it is not known.
    """
    estimated, of_one = probe(constraint, obs[:1], box, generator)
    share = estimated if share is None else share
    expected = expected_seconds(len(obs), share, of_one)
    if expected > limit:
        return given_up(len(obs), expected, limit, share)
    samples, seconds = timed(lambda: sample_rejection(constraint, obs, generator, box))
    return independent(len(obs), seconds, samples.acceptance), ""


def probe(constraint: Constraint, obs: Tensor, box: Box, generator: torch.Generator) -> tuple[float, float]:
    """Share of a box that is feasible at a state (1, o), and the seconds that a proposal takes."""
    if box == "bounding":
        lower, upper = constraint.bounding_box(obs)
    else:
        lower, upper = torch.as_tensor(constraint.lower), torch.as_tensor(constraint.upper)
    states = obs.expand(CHUNK, -1)

    def count_hits() -> int:
        u = torch.rand((CHUNK, constraint.dim), generator=generator, dtype=torch.float64)
        return int(constraint.contains(lower + u * (upper - lower), states).sum())

    hits, seconds = zip(*(timed(count_hits) for _ in range(PROBE // CHUNK)), strict=True)
    # The median: the first rounds pay for what later ones find ready.
    return sum(hits) / PROBE, statistics.median_high(seconds) / CHUNK


def expected_seconds(count: int, share: float, of_one: float) -> float:
    """For ``count`` samples by rejection; infinite where no proposal was feasible."""
    return count / share * of_one if share else math.inf


def hmc_cost(constraint: Constraint, obs: Tensor, generator: torch.Generator) -> Cost:
    """Cost of as many samples as ``obs`` (N, o) has rows, all of one state, by Hamiltonian Monte-Carlo."""
    chains = obs[:CHAINS_OF_ONE_STATE]
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
    """Number of the whole allocations, and the cost of a diagram of them and of samples from it."""
    diagram, compile_seconds = timed(lambda: compile_allocation(constraint))
    _, seconds = timed(lambda: sample_psdd(diagram, count, generator))
    size = {"compile_seconds": compile_seconds, "models": float(diagram.models), "nodes": float(diagram.nodes)}
    return diagram.models, (size | independent(count, seconds, 1.0), "")


def integer_rejection_cost(
    constraint: Allocation, count: int, models: int, plane: bool, limit: float, generator: torch.Generator
) -> Cost:
    """Cost of ``count`` whole allocations, uniform on all, by rejection; its expectation where that is over the limit.

    ``models`` is the number of whole allocations. With ``plane`` the last coordinate is set by the total; without, it
    is drawn like the others.
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
    # The last round may give a few more than were wanted.
    return independent(count, (time.perf_counter() - start) * count / kept, kept / tried), ""


def draw_integers(constraint: Allocation, sizes: Tensor, count: int, generator: torch.Generator) -> int:
    """How many of ``count`` whole points, uniform on a box of ``sizes`` (d,), are feasible."""
    u = torch.rand((count, len(sizes)), generator=generator, dtype=torch.float64)
    whole = torch.as_tensor(constraint.lower)[: len(sizes)] + (u * sizes).floor()
    actions = constraint.from_free(whole) if len(sizes) < constraint.dim else whole
    return int(constraint.contains(actions, torch.empty((count, 0), dtype=torch.float64)).sum())


def independent(count: int, seconds: float, acceptance: float) -> dict[str, float | None]:
    """Numbers of independent samples, each of which is an effective one."""
    rate = count / seconds
    return {"seconds": seconds, "samples_per_second": rate, "effective_per_second": rate, "acceptance": acceptance}


def given_up(count: int, expected: float, limit: float, share: float) -> Cost:
    """Numbers of a sampler that was not run: what it is expected to cost, and why it was not run."""
    if not math.isfinite(expected):
        return {"acceptance": 0.0}, f"given up: none of {PROBE:,} proposals was feasible"
    return independent(count, expected, share), f"given up at {limit:g} s: expected, 1/share proposals a sample"
