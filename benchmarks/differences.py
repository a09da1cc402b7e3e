"""Pairs of methods whose mean final returns on a task differ significantly: the 95% interval (Welch's t) leaves out 0.

Run ``python -m benchmarks.differences [TASK] [--profile P]``. It reads the results alone, and leaves out
``ddpg-projection-qp``, which is ``ddpg-projection`` with another solver. Nothing corrects for the number of pairs.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import tabulate

from benchmark.analysis.contenders import return_differences
from benchmark.analysis.leaderboard import read_leaderboard
from benchmark.records.config import load_params
from benchmark.records.runs import IDLE_METHOD


def main() -> int:
    """Print one row a pair, and how many pairs of trained methods there are."""
    parser = argparse.ArgumentParser(description="Pairs of methods whose mean final returns differ significantly.")
    parser.add_argument("task", nargs="?", default="W+M")
    parser.add_argument("--profile", default="small")
    given = parser.parse_args()
    params, rows, trained = load_params(), [], 0
    found = read_leaderboard(Path("results") / given.profile, params.profile(given.profile), params).found
    methods = [method for method in (*found.methods, IDLE_METHOD) if method != "ddpg-projection-qp"]
    for pair in itertools.combinations(methods, 2):
        difference = return_differences(found, *pair).get(given.task)
        if difference is None or difference.low is None or difference.high is None:
            continue
        trained += IDLE_METHOD not in pair
        if difference.low > 0 or difference.high < 0:
            rows.append([*pair, difference.mean, difference.low, difference.high])
    print(tabulate.tabulate(rows, ["method", "minus", "mean", "low", "high"], tablefmt="github", floatfmt=",.1f"))
    print(f"\nPairs of trained methods: {trained}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
