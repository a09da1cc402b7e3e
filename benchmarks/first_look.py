"""What the share of states that lose the gradient (C6) owes to the first look after the warm-up.

Run ``python -m benchmarks.first_look [--profile P]``: trains methods on R+L2 as `acrl experiment c6` does, two minutes
a seed in `small`, and averages over training with and without that look, which comes one step after the warm-up.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import tabulate

from benchmark.analysis.claims.gradients import LAYERS
from benchmark.analysis.statistics import mean_interval
from benchmark.analysis.summaries import SHARE
from benchmark.experiments.base import Context
from benchmark.experiments.c6 import course_of, mean_while_learning
from benchmark.records.config import load_params

TASK = "R+L2"
LOST = "lost share"


def main() -> int:
    """Print two rows a method."""
    parser = argparse.ArgumentParser(description="C6 on R+L2 with and without the first look after the warm-up.")
    parser.add_argument("--profile", default="small")
    given = parser.parse_args()
    context = Context(load_params(), given.profile, Path("results"))
    course = course_of(context)
    rows = []
    for method in LAYERS:
        seeds = [course.follow_one((TASK, method, seed)) for seed in context.chosen.seeds]
        warmup = course.longest_warmup
        first = min(step for step in seeds[0] if step > warmup)
        for looks, start in (("all", warmup), (f"after step {first:,}", first)):
            lost = mean_interval([mean_while_learning(seen, LOST, start) for seen in seeds], SHARE)
            numbers = [100 * number for number in (lost.mean, *lost.band) if number is not None]
            rows.append([method, looks, "{:.2f} [{:.2f}, {:.2f}]".format(*numbers)])
    print(tabulate.tabulate(rows, ["method", "looks", "lost [%]"], tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
