"""What critics think at the end of training: their mean value of the actor's outputs, next to what policies returned.

Run ``python -m benchmarks.critics [TASK] [--profile P]``. It reads the results alone. The value is minus the actor's
last loss, a mean since the evaluation before; NFW's actors regress on another action, so their loss is left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import tabulate

from benchmark.records.config import load_params
from benchmark.records.results import read_run
from benchmark.records.runs import Run
from methods.base import method_class
from methods.nfw import NFW


def main() -> int:
    """Print one row a run."""
    parser = argparse.ArgumentParser(description="What critics think of the actor's outputs at the end of training.")
    parser.add_argument("task", nargs="?", default="HC+O")
    parser.add_argument("--profile", default="small")
    given = parser.parse_args()
    chosen, rows = load_params().profile(given.profile), []
    for method in chosen.methods:
        for seed in chosen.seeds:
            path = Run(given.profile, given.task, method, seed).path(Path("results"))
            if issubclass(method_class(method), NFW) or not path.exists():
                continue
            result = read_run(path)
            assert result.returns is not None
            assert result.final_policy is not None
            loss, returns = result.curves["update/actor_loss"][-1], result.returns
            assert loss is not None
            valid = result.final_policy.violations.valid_at(0)
            rows.append([method, seed, -loss, returns.best.mean, returns.final.mean, valid])
    head = ["method", "seed", "value", "best return", "last return", "valid at 0"]
    print(tabulate.tabulate(rows, head, tablefmt="github", floatfmt=("", "", ",.0f", ",.0f", ",.0f", ".1%")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
