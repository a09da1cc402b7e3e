"""What warm-up actions change: uniform on the action box, or as the methods were released.

Run ``python -m benchmarks.warmup [--jobs N]``: trains what is missing below ``results/small/changed``, 30,000 steps a
run, and prints a row a case and quantity. Interrupted, it goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import tabulate

from benchmark.analysis.statistics import Estimate, difference_interval, mean_interval
from benchmark.records.config import load_params
from benchmark.records.results import RunResult, read_run
from benchmark.records.runs import Run
from benchmark.training.processes import sweep

PROFILE, RESULTS, STEPS = "small", Path("results"), 30_000
# Task, method, and what the released code draws from.
CASES = (("HC+O", "flowpg", "latent"), ("BSS-5", "ddpg-penalty", "feasible"), ("BSS-5", "flowpg", "latent"))
QUANTITIES = ("return", "share valid at 0")


def named(task: str, method: str, seed: int, actions: str) -> Run:
    """A run with these warm-up actions."""
    given = (f"--steps={STEPS}", f"--set=warmup_actions={actions}")
    return Run(PROFILE, task, method, seed).elsewhere(RESULTS, None, given)


def measured(result: RunResult) -> tuple[float, float]:
    """What the last policy of a run reached."""
    assert result.returns is not None
    assert result.final_policy is not None
    return result.returns.final.mean, result.final_policy.violations.valid_at(0)


def words(estimate: Estimate) -> str:
    """A number and its interval."""
    interval = "" if estimate.low is None else f" [{estimate.low:.4g}, {estimate.high:.4g}]"
    return f"{estimate.mean:.4g}{interval}"


def rows(task: str, method: str, released: str, seeds: list[int]) -> list[list[str]]:
    """Both ways and their difference, a row a quantity."""
    box, other = (
        [measured(read_run(named(task, method, seed, actions).path(RESULTS))) for seed in seeds]
        for actions in ("box", released)
    )
    found = []
    for quantity, before, after in zip(QUANTITIES, zip(*box, strict=True), zip(*other, strict=True), strict=True):
        gain = difference_interval(after, before)
        outside = gain.low is not None and gain.high is not None and not gain.low <= 0 <= gain.high
        shown = [words(mean_interval(before)), words(mean_interval(after)), words(gain), "yes" if outside else "no"]
        found.append([task, method, quantity, released, *shown])
    return found


def main() -> int:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description="Warm-up actions: the action box, or as released.")
    parser.add_argument("--jobs", "-j", type=int, default=1, help="runs at a time")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    runs = [
        named(task, method, seed, actions)
        for task, method, released in CASES
        for actions in ("box", released)
        for seed in given.seeds
    ]
    failures = sweep(runs, load_params(), RESULTS, given.jobs)
    for run, reason in failures.items():
        print(f"{run.task} {run.method} {run.seed} {' '.join(run.given)}: {reason}", file=sys.stderr)
    if failures:
        return 1
    head = ["task", "method", "quantity", "released", "box", "as released", "difference", "outside"]
    table = [row for case in CASES for row in rows(*case, given.seeds)]
    print(tabulate.tabulate(table, head, tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
