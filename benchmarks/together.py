"""Seeds as one batch against the same seeds one after the other: seconds, and whether they learn the same.

Run ``python -m benchmarks.together [--task T] [--method M] [--seeds N] [--steps N] [--device cpu|cuda]`` on a machine
that does nothing else. The last columns are the mean final return over seeds with its 95% interval by Student's t. On a
GPU, ``--alone 1`` trains one seed by itself and scales its seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import tabulate
import torch

from benchmark.config import RunConfig, load_params, run_config
from benchmark.harness import Outcome, train
from benchmark.statistics import mean_interval
from benchmark.together import train_together
from envs import make_task
from envs.registry import TaskSpec


def returns_text(outcomes: Sequence[Outcome]) -> str:
    """The mean final return with its interval, and of how many seeds."""
    estimate = mean_interval([outcome.returns.final.mean for outcome in outcomes if outcome.returns])
    ends = "" if estimate.low is None else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
    return "none" if estimate.mean is None else f"{estimate.mean:.2f}{ends} (n = {estimate.n})"


def one_by_one(task: TaskSpec, method: str, config: RunConfig, seeds: Sequence[int], folder: Path) -> list[Outcome]:
    """Each seed by itself."""
    return [train(task, method, config, seed, folder, lambda _: None) for seed in seeds]


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="Seeds as one batch against one after the other.")
    parser.add_argument("--task", default="R+L2")
    parser.add_argument("--method", default="ddpg-projection")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--alone", type=int, help="seeds trained one by one  [default: all]")
    given = parser.parse_args()
    torch.set_num_threads(1)
    task, seeds = make_task(given.task), list(range(given.seeds))
    config = run_config(load_params(), "quick", given.task, given.method).model_copy(update={"steps": given.steps})
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder, alone = Path(name), seeds[: given.alone or len(seeds)]
        # Makes the flow, if there is one, and what first calls compile and allocate.
        one_by_one(task, given.method, config.model_copy(update={"steps": 10}), seeds[:1], folder)
        started = time.perf_counter()
        single = one_by_one(task, given.method, config, alone, folder)
        seconds = (time.perf_counter() - started) * len(seeds) / len(alone)
        rows.append(["one by one", f"{seconds:.1f}", "1", returns_text(single)])
        for batched in (False, True) if given.device == "cpu" else (True,):
            started = time.perf_counter()
            found = train_together(
                task, given.method, config, seeds, folder, lambda *_: None, given.device, batched
            ).values()
            spent = time.perf_counter() - started
            kind = "stacked" if batched else "side by side"
            outcomes = [outcome for outcome in found if isinstance(outcome, Outcome)]
            faster = f"{seconds / spent:.2f}x"
            rows.append([f"together, {kind}, {given.device}", f"{spent:.1f}", faster, returns_text(outcomes)])
    print(f"{given.task}, {given.method}, {len(seeds)} seeds of {given.steps:,} steps")
    print(tabulate.tabulate(rows, ["", "seconds", "faster", "final return"], tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
