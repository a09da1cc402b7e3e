"""The three samplers of feasible actions side by side, in one run and on one thread.

    OMP_NUM_THREADS=1 python benchmarks/sampling.py

First table: samples a second of each sampler, the same states for all, with effective samples where samples are not
independent; HMC with its warm-up, the PSDD without its compilation, which is given apart. On bike sharing rejection and
HMC draw from the continuous set and the PSDD whole units, so there are two more rows, rejection of whole units: from
the action box, where the total is met by chance, and from the tightest box in the plane of the total.

Second table: HMC against the way of FlowPG's released code, one chain that makes one step of 0.2 an iteration and stays
where that is infeasible, at one state and at equal effective samples.

Times are CPU seconds of this thread, so that other work on the machine counts little; each is the median of some runs.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import tabulate
import torch
from torch import Tensor

from benchmark.experiments.sampling import SAMPLERS, draw_states, run_sampler
from envs import make_task
from envs.constraints import Allocation
from envs.registry import TaskSpec
from envs.sampling.diagnostics import diagnose
from envs.sampling.hmc import HMCConfig, sample_hmc
from envs.sampling.samples import Samples
from envs.seeding import make_generator

TASKS = ("R+L2", "HC+O", "H+M", "BSS-3", "BSS-5", "R+Ring", "R+2D", "H+O+S", "W+O+S")
WALKED = ("R+L2", "HC+O", "H+M")
WHOLE_CHUNK = 1 << 16
# Enough for a rate, where so few are accepted that ``--n`` samples would take minutes.
MOST_PROPOSALS = 5_000_000
WALK_STEP = 0.2
WALK_DRAWS = 50_000
CHAINS, DRAWS = 1000, 100


@dataclass(frozen=True)
class Row:
    """One sampler on one task; effective samples a second are those a second where samples are independent."""

    task: str
    sampler: str
    speed: float
    effective: float
    acceptance: float
    note: str = ""


def measure(task: TaskSpec, sampler: str, count: int, repeats: int) -> Row:
    """Medians over ``repeats`` runs of different seeds."""
    reports = [run_sampler(task, sampler, count, seed, time.thread_time)[1] for seed in range(repeats)]
    speed = statistics.median(r.samples_per_second for r in reports)
    effective = statistics.median(r.ess_per_second or r.samples_per_second for r in reports)
    notes = []
    if reports[0].rhat is not None:
        notes.append(f"R-hat {max(r.rhat or 0 for r in reports):.3f}, {reports[0].jump_acceptance:.1%} of jumps")
    if reports[0].compile_seconds is not None:
        compiled = statistics.median(r.compile_seconds or 0 for r in reports)
        notes.append(f"{reports[0].models:,} models, {reports[0].nodes} nodes, compiled in {compiled:.3f} s")
    acceptance = statistics.median(r.acceptance for r in reports)
    return Row(task.id, sampler, speed, effective, acceptance, "; ".join(notes))


def measure_whole_units(task: TaskSpec, constraint: Allocation, plane: bool, count: int, repeats: int) -> Row:
    """Rejection of whole units, in the plane of the total or from the action box."""
    ends = constraint.free_box if plane else (constraint.lower, constraint.upper)
    lower, upper = (torch.as_tensor(end).long() for end in ends)
    speeds, shares = [], []
    for seed in range(repeats):
        generator = make_generator(seed, "whole units")
        start, found, proposals = time.thread_time(), 0, 0
        while found < count and proposals < MOST_PROPOSALS:
            draw = lower + (torch.rand((WHOLE_CHUNK, len(lower)), generator=generator) * (upper - lower + 1)).long()
            action = constraint.from_free(draw) if plane else draw.double()
            found += int(constraint.contains(action, action).sum())
            proposals += WHOLE_CHUNK
        speeds.append(found / (time.thread_time() - start))
        shares.append(found / proposals)
    speed = statistics.median(speeds)
    name = f"rejection, whole, {'plane' if plane else 'box'}"
    return Row(task.id, name, speed, speed, statistics.median(shares))


def walk(task: TaskSpec, state: Tensor, generator: torch.Generator) -> Samples:
    """One chain of ``WALK_DRAWS`` draws at ``state`` (1, o): density 0 or 1, no gradient, one step an iteration."""
    constraint = task.constraint
    position = constraint.interior(state)
    moves = WALK_STEP * torch.randn((WALK_DRAWS, 1, constraint.dim), generator=generator, dtype=torch.float64)
    draws, accepted = [], 0
    for move in moves:
        ahead = position + move
        if bool(constraint.contains(ahead, state)):
            position, accepted = ahead, accepted + 1
        draws.append(position)
    return Samples(torch.cat(draws), proposals=WALK_DRAWS, acceptance=accepted / WALK_DRAWS)


def worth(task: TaskSpec, obs: Tensor, sample: Callable[[], Samples]) -> tuple[Samples, float]:
    """Samples and CPU seconds an effective sample."""
    start = time.thread_time()
    samples = sample()
    seconds = time.thread_time() - start
    samples = diagnose(samples, task.constraint, obs)
    return samples, seconds / (samples.ess or float("nan"))


def compare_with_walk(task: TaskSpec) -> list[str]:
    """A row of the second table."""
    state = draw_states(task, 1, seed=0)
    obs = state.expand(CHAINS, -1)
    walked, slow = worth(task, state, lambda: walk(task, state, make_generator(0, "walk")))
    config = HMCConfig(draws=DRAWS)
    drawn, fast = worth(task, obs, lambda: sample_hmc(task.constraint, obs, make_generator(0, "hmc"), config))
    efficiency = [(s.ess or 0) / len(s.actions) for s in (walked, drawn)]
    return [
        task.id,
        f"{1 - walked.acceptance:.1%}",
        f"{efficiency[0]:.3f}",
        f"{1 / slow:,.0f}",
        f"{efficiency[1]:.3f}",
        f"{1 / fast:,.0f}",
        f"{slow / fast:,.0f}",
    ]


def table(rows: list[Row]) -> str:
    """The first table; ratios are to the task's rejection."""
    base = {row.task: row.effective for row in rows if row.sampler == "rejection"}
    head = ["task", "sampler", "samples/s", "effective/s", "ratio", "accepted", ""]
    body = [
        [
            row.task,
            row.sampler,
            f"{row.speed:,.0f}",
            f"{row.effective:,.0f}",
            f"{row.effective / base[row.task]:.2f}",
            f"{row.acceptance:.2%}",
            row.note,
        ]
        for row in rows
    ]
    return str(tabulate.tabulate(body, head, disable_numparse=True, colalign=["left", "left", *["right"] * 4, "left"]))


def main() -> int:
    """Print both tables and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000, help="samples of each figure (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each figure (default: %(default)s)")
    options = parser.parse_args()
    if options.n < 1 or options.repeats < 1:
        parser.error("--n and --repeats must be 1 or more")
    torch.set_num_threads(1)
    rows = []
    for task in map(make_task, TASKS):
        constraint = task.constraint
        whole = isinstance(constraint, Allocation)
        rows += [measure(task, name, options.n, options.repeats) for name in SAMPLERS if name != "psdd" or whole]
        if isinstance(constraint, Allocation):
            planes = (False, True)
            rows += [measure_whole_units(task, constraint, plane, options.n, options.repeats) for plane in planes]
    print(f"{options.n:,} samples each")
    print(table(rows))
    head = ["task", "walk repeats", "walk ess/draw", "walk ess/s", "hmc ess/draw", "hmc ess/s", "ratio"]
    walks = [compare_with_walk(make_task(name)) for name in WALKED]
    print(f"\nhmc, {CHAINS} chains of {DRAWS} draws, against one chain of {WALK_DRAWS:,} steps of {WALK_STEP}")
    print(tabulate.tabulate(walks, head, disable_numparse=True, stralign="right"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak:,.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
