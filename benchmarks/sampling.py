"""The three samplers of feasible actions side by side, in one run and on one thread.

    OMP_NUM_THREADS=1 python benchmarks/sampling.py

First table: samples a second of each sampler, the same states for all, with effective samples where samples are not
independent; HMC with its warm-up, the PSDD without its compilation, which is given apart. On bike sharing rejection and
HMC draw from the continuous set and the PSDD whole units, so there are two more rows, rejection of whole units: from
the action box, where the total is met by chance, and from the tightest box in the plane of the total.

The same estimates of independent draws, in chains as long as HMC's, are beside rejection: R-hat of few draws exceeds 1,
and their effective samples fall short of their number.

Second table: HMC against the chain of FlowPG's released code, which makes one step of 0.2 an iteration and stays where
that is infeasible, at one state. The released code runs one chain at a time; here both samplers run equally many at
once, from independent feasible starts, since many cost little more than one.

Times are CPU seconds of this thread, so that other work on the machine counts little. Those of the first table are
medians of some runs, those of the second of one run each.
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

from benchmark.experiments.sampling import CHAINS, SAMPLERS, draw_states, run_sampler
from envs import make_task
from envs.constraints import Allocation
from envs.registry import TaskSpec
from envs.sampling.diagnostics import diagnose
from envs.sampling.hmc import HMCConfig, sample_hmc
from envs.sampling.rejection import sample_rejection
from envs.sampling.samples import Samples
from envs.seeding import make_generator

TASKS = ("R+L2", "HC+O", "H+M", "BSS-3", "BSS-5", "R+Ring", "R+2D", "H+O+S", "W+O+S")
WALKED = ("R+L2", "HC+O", "H+M")
WHOLE_CHUNK = 1 << 16
# Enough for a rate, where so few are accepted that ``--n`` samples would take minutes.
MOST_PROPOSALS = 5_000_000
WALK_STEP = 0.2
CHAINS_OF_ONE_STATE, DRAWS = 1000, 500


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
    drawn, reports = zip(*(run_sampler(task, sampler, count, s, time.thread_time) for s in range(repeats)), strict=True)
    speed = statistics.median(r.samples_per_second for r in reports)
    effective = statistics.median(r.ess_per_second or r.samples_per_second for r in reports)
    notes = [describe_independent(task, drawn[0], count)] if sampler == "rejection" else []
    if reports[0].rhat is not None:
        notes.append(f"R-hat {max(r.rhat or 0 for r in reports):.3f}, {reports[0].jump_acceptance:.1%} of jumps")
    if reports[0].compile_seconds is not None:
        compiled = statistics.median(r.compile_seconds or 0 for r in reports)
        notes.append(f"{reports[0].models:,} models, {reports[0].nodes} nodes, compiled in {compiled:.3f} s")
    acceptance = statistics.median(r.acceptance for r in reports)
    return Row(task.id, sampler, speed, effective, acceptance, "; ".join(notes))


def describe_independent(task: TaskSpec, actions: Tensor, count: int) -> str:
    """What the diagnosis of HMC's chains says of independent draws, in chains as many and as long."""
    states = draw_states(task, count, seed=0)
    chains = states.repeat(CHAINS, 1)
    whole = actions[: len(actions) // len(chains) * len(chains)]
    found = diagnose(Samples(whole, proposals=len(whole), acceptance=1.0), task.constraint, chains)
    return f"independent: R-hat {found.rhat:.3f}, {(found.ess or 0) / len(whole):.0%} effective"


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


def walk(task: TaskSpec, obs: Tensor, generator: torch.Generator) -> Samples:
    """A chain of ``DRAWS`` draws per row of ``obs`` (C, o): density 0 or 1, no gradient, one step an iteration."""
    constraint = task.constraint
    position = sample_rejection(constraint, obs, generator).actions
    draws, accepted = [], 0
    for _ in range(DRAWS):
        ahead = position + WALK_STEP * torch.randn(position.shape, generator=generator, dtype=torch.float64)
        feasible = constraint.contains(ahead, obs)
        position = torch.where(feasible[:, None], ahead, position)
        accepted += int(feasible.sum())
        draws.append(position)
    actions = torch.cat(draws)
    return Samples(actions, proposals=len(actions), acceptance=accepted / len(actions))


def worth(task: TaskSpec, obs: Tensor, sample: Callable[[], Samples]) -> tuple[Samples, float]:
    """Samples and CPU seconds an effective sample."""
    start = time.thread_time()
    samples = sample()
    seconds = time.thread_time() - start
    samples = diagnose(samples, task.constraint, obs)
    return samples, seconds / (samples.ess or float("nan"))


def compare_with_walk(task: TaskSpec) -> list[str]:
    """A row of the second table."""
    obs = draw_states(task, 1, seed=0).expand(CHAINS_OF_ONE_STATE, -1)
    walked, slow = worth(task, obs, lambda: walk(task, obs, make_generator(0, "walk")))
    config = HMCConfig(draws=DRAWS)
    drawn, fast = worth(task, obs, lambda: sample_hmc(task.constraint, obs, make_generator(0, "hmc"), config))
    cells = [
        [f"{(found.ess or 0) / len(found.actions):.3f}", f"{1 / cost:,.0f}", f"{found.rhat:.3f}"]
        for found, cost in ((walked, slow), (drawn, fast))
    ]
    return [task.id, f"{1 - walked.acceptance:.1%}", *cells[0], *cells[1], f"{slow / fast:.2g}"]


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
    parser.add_argument("--n", type=int, default=500_000, help="samples of each figure (default: %(default)s)")
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
    shown = ("ess/draw", "ess/s", "R-hat")
    head = ["task", "walk repeats", *(f"{name} {one}" for name in ("walk", "hmc") for one in shown), "ratio"]
    walks = [compare_with_walk(make_task(name)) for name in WALKED]
    print(f"\nhmc against a walk in steps of {WALK_STEP}: {CHAINS_OF_ONE_STATE:,} chains of {DRAWS} draws each")
    print(tabulate.tabulate(walks, head, disable_numparse=True, stralign="right"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory {peak:,.0f} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
