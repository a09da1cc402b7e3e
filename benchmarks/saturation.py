"""Where the actors of trained policies sit: share of their outputs at an end of the tanh, at states they visit.

Run ``python -m benchmarks.saturation [TASK] [--profile P] [--method M ...]``. It reads policies that `acrl export`
wrote, of which some of `small` are in git, and the checkpoints of runs made here; other runs are left out and named.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import tabulate
import torch

from benchmark.experiments.c6 import rollout
from benchmark.records.config import load_params
from benchmark.records.results import read_run
from benchmark.records.runs import Run
from benchmark.training.policies import find_policy
from envs import make_task
from envs.errors import UserError
from envs.seeding import derive_seed
from methods.ddpg import DDPG

STATES = 1000
# The factor 1 - u^2 by which the tanh passes a gradient on is below 0.002 beyond.
END = 0.999


def main() -> int:
    """Print one row a run."""
    parser = argparse.ArgumentParser(description="Share of the actor's outputs at an end of the tanh.")
    parser.add_argument("task", nargs="?", default="R+L2")
    parser.add_argument("--profile", default="small")
    parser.add_argument("--method", action="append", default=[])
    given = parser.parse_args()
    params, results = load_params(), Path("results")
    chosen = params.profile(given.profile)
    rows = []
    for method_id in given.method or chosen.flow_methods:
        for seed in chosen.seeds:
            run = Run(given.profile, given.task, method_id, seed)
            try:
                result, method = read_run(run.path(results)), find_policy(run.path(results), params, results).method
            except UserError as error:
                print(f"left out: {error}", file=sys.stderr)
                continue
            assert isinstance(method, DDPG)
            obs = rollout(make_task(given.task), method, STATES, derive_seed(seed, "saturation", given.task))
            with torch.no_grad():
                ends = (method.output(method.state["actor"], obs.float()).abs() > END).double()
            assert result.returns is not None
            assert result.final_policy is not None
            valid = result.final_policy.violations.valid_at(0)
            last = result.returns.final.mean
            rows.append([method_id, seed, float(ends.mean()), float(ends.all(1).double().mean()), valid, last])
    head = ["method", "seed", "coordinates at an end", "states with all at an end", "valid at 0", "last return"]
    print(tabulate.tabulate(rows, head, tablefmt="github", floatfmt=("", "", ".0%", ".0%", ".1%", ".2f")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
