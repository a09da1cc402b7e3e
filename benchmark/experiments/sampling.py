"""Runs a sampler of feasible actions, times it, and says how well it did."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from envs.constraints import Allocation
from envs.errors import UnknownIdError, UserError
from envs.registry import TaskSpec
from envs.sampling.dataset import embed, rollout_contexts
from envs.sampling.diagnostics import diagnose
from envs.sampling.hmc import HMCConfig, sample_hmc
from envs.sampling.psdd import compile_allocation, sample_psdd
from envs.sampling.rejection import sample_rejection
from envs.sampling.samples import Samples
from envs.seeding import derive_seed, make_generator

SAMPLERS = ("rejection", "hmc", "psdd")
ROLLOUT_STEPS = 1_000
# HMC: chains at each state, so that they can be compared, and draws of each chain, where so many are wanted.
CHAINS = 4
DRAWS = 100
MOST_STATES = 250

Clock = Callable[[], float]


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


def run_sampler(
    task: TaskSpec, sampler: str, count: int, seed: int, clock: Clock = time.perf_counter
) -> tuple[Tensor, SampleReport]:
    """Actions (count, n), float64, and the report. Row i is at state i modulo the number of states.

    Args:
        task: Whose constraint.
        sampler: One of :data:`SAMPLERS`.
        count: Number of samples, 1 or more.
        seed: Source of all randomness; the states are the same for every sampler.
        clock: What seconds are read from.

    Raises:
        UserError: If there is no such sampler, it does not apply to the task, or the set is too small for it.
    """
    if sampler not in SAMPLERS:
        raise UnknownIdError("sampler", sampler, SAMPLERS)
    if sampler == "psdd":
        return _run_psdd(task, count, seed, clock)
    states = draw_states(task, count, seed)
    generator = make_generator(seed, "sample", sampler)
    if sampler == "rejection":
        obs = states[torch.arange(count) % len(states)]
        start = clock()
        samples = sample_rejection(task.constraint, obs, generator)
        seconds = clock() - start
    else:
        samples, seconds = _run_hmc(task, states, count, generator, clock)
    known = len(states) if task.constraint.context_indices else 1
    return samples.actions[:count], _report(task, sampler, count, seed, known, samples, seconds)


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


def describe(report: SampleReport) -> str:
    """The report as lines for people."""
    origin = f"{report.states} from rollouts of random feasible actions" if report.states > 1 else "1"
    lines = {
        "samples": f"{report.samples:,}",
        "states": origin,
        "seconds": f"{report.seconds:.4g}",
        "samples per second": f"{report.samples_per_second:,.0f}",
        "acceptance": f"{report.acceptance:.4%}",
        "acceptance of jumps": _number(report.jump_acceptance, ".4%"),
        "effective samples": _number(report.ess, ",.0f"),
        "effective per second": _number(report.ess_per_second, ",.0f"),
        "R-hat": _number(report.rhat, ".4f"),
        "step size": _number(report.step_size, ".4f"),
        "models": _number(report.models, ","),
        "diagram nodes": _number(report.nodes, ","),
        "compile seconds": _number(report.compile_seconds, ".4g"),
    }
    title = f"{report.task} by {report.sampler}, seed {report.seed}"
    return "\n".join([title, *(f"  {name:20} {text}" for name, text in lines.items() if text)])


def _run_psdd(task: TaskSpec, count: int, seed: int, clock: Clock) -> tuple[Tensor, SampleReport]:
    constraint = task.constraint
    if not isinstance(constraint, Allocation):
        raise UserError(
            f"sampler psdd is for allocations of whole units such as BSS-3; task '{task.id}' has a "
            f"{type(constraint).__name__}: use rejection or hmc"
        )
    start = clock()
    psdd = compile_allocation(constraint)
    compiled = clock()
    samples = sample_psdd(psdd, count, make_generator(seed, "sample", "psdd"))
    seconds = clock() - compiled
    report = _report(task, "psdd", count, seed, 1, samples, seconds)
    return samples.actions, report.model_copy(update={"compile_seconds": compiled - start})


def _run_hmc(
    task: TaskSpec, states: Tensor, count: int, generator: torch.Generator, clock: Clock
) -> tuple[Samples, float]:
    """At least ``count`` samples and the seconds that took."""
    obs = states.repeat(CHAINS, 1)[:count]
    config = HMCConfig(draws=math.ceil(count / len(obs)))
    start = clock()
    samples = sample_hmc(task.constraint, obs, generator, config)
    seconds = clock() - start
    return diagnose(samples, task.constraint, obs), seconds


def _report(
    task: TaskSpec, sampler: str, count: int, seed: int, states: int, samples: Samples, seconds: float
) -> SampleReport:
    # The last draws of some chains may be more than were wanted.
    ess = None if samples.ess is None else samples.ess * count / len(samples.actions)
    return SampleReport(
        task=task.id,
        sampler=sampler,
        seed=seed,
        states=states,
        samples=count,
        seconds=seconds,
        samples_per_second=count / seconds,
        proposals=samples.proposals,
        acceptance=samples.acceptance,
        jump_acceptance=samples.jump_acceptance,
        ess=ess,
        ess_per_second=None if ess is None else ess / seconds,
        rhat=samples.rhat,
        step_size=samples.step_size,
        models=samples.models,
        nodes=samples.nodes,
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"
