"""Whether a replay buffer that forgets nothing keeps ``ddpg-projection`` from falling late on R+L2.

Run ``python -m benchmarks.buffer [--folder F]``: trains what is missing of the longer buffer into F, 20 minutes a seed,
and sets it beside the profile's own runs, which lie in ``results``. Interrupted, it goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import tabulate

from benchmark.records.config import Params, load_params
from benchmark.records.results import RunResult, read_run
from benchmark.records.runs import Run
from benchmark.training.runs import execute_missing

PROFILE, TASK, METHOD = "small", "R+L2", "ddpg-projection"


def with_buffer(params: Params, slots: int) -> Params:
    """The same settings, but for the size of the task's replay buffer."""
    task = params.task_settings[TASK]
    longer = task.model_copy(update={"learner": task.learner | {"replay_size": slots}})
    return params.model_copy(update={"task_settings": params.task_settings | {TASK: longer}})


def row(result: RunResult) -> list[object]:
    """What became of one run."""
    assert result.returns is not None
    assert result.final_policy is not None
    steps, curve = result.curves["step"], result.curves["update/actor_loss"]
    losses = {step: loss for step, loss in zip(steps, curve, strict=True) if step is not None and loss is not None}
    positive = next((f"{step:,.0f}" for step, loss in losses.items() if loss < 0), "never")
    returns = result.returns
    return [
        f"{result.config['method']['replay_size']:,}",
        result.seed,
        f"{returns.best.mean:.2f} (step {returns.best.step:,})",
        f"{returns.final.mean:.2f}",
        f"{max(map(abs, losses.values())):,.1f}",
        positive,
        f"{1 - result.final_policy.violations.valid_at(0):.1%}",
    ]


def main() -> int:
    """Print one row a run."""
    parser = argparse.ArgumentParser(description="ddpg-projection on R+L2 with a buffer that forgets nothing.")
    parser.add_argument("--folder", type=Path, default=Path("build/buffer"), help="of the longer buffer's runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    params = load_params()
    runs = [Run(PROFILE, TASK, METHOD, seed) for seed in given.seeds]
    longer = with_buffer(params, runs[0].config(params).steps)
    rows = [row(read_run(run.path(Path("results")))) for run in runs]
    rows += [row(execute_missing(run, longer, given.folder, lambda _: None)) for run in runs]
    head = [
        "buffer",
        "seed",
        "best return",
        "last return",
        "largest actor loss",
        "values above 0 from step",
        "infeasible at the end",
    ]
    print(tabulate.tabulate(rows, head, tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
