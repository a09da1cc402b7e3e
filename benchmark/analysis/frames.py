"""A profile's runs and curves as tidy data frames for notebooks; see ``load_runs`` and ``load_curves``."""

from __future__ import annotations

import itertools
from pathlib import Path

import pandas as pd

from benchmark.analysis import anchors, summaries
from benchmark.analysis.leaderboard import Leaderboard, read_leaderboard
from benchmark.records.config import load_params
from benchmark.records.results import TOLERANCE_KEYS
from benchmark.records.runs import IDLE_METHOD, LOW_METHOD
from benchmark.records.selection import CompleteRun, Selection

OF_RUN = ("task", "method", "seed")
VALID = tuple(f"valid_{key}" for key in TOLERANCE_KEYS)
RUN_COLUMNS = (
    *OF_RUN,
    *("return", "best_return", "score"),
    *VALID,
    *("violations", "steps", "seconds", "prepare_seconds", "run_key"),
)


def read_profile(profile: str, results: str | Path) -> Leaderboard:
    """The results in ``<results>/<profile>``.

    Raises:
        UserError: If the profile is unknown or has no runs there, or a file is damaged.
    """
    params = load_params()
    return read_leaderboard(Path(results) / profile, params.profile(profile), params)


def runs_frame(board: Leaderboard) -> pd.DataFrame:
    """One row per complete run on the profile's tasks: its methods, then random feasible actions and ``hold``."""
    found = board.found
    methods = dict.fromkeys([*found.methods, LOW_METHOD, IDLE_METHOD])
    rows = [
        _run_row(run, board.scales[task])
        for task, method in itertools.product(found.tasks, methods)
        for run in found.runs(task, method)
    ]
    return pd.DataFrame(rows, columns=list(RUN_COLUMNS)).astype({"score": float})


def _run_row(run: CompleteRun, ends: tuple[float, float] | str) -> dict[str, object]:
    record, final = run.record, run.returns.final.mean
    valid = record.final_policy.violations.valid_share if record.final_policy else {}
    return {
        "task": record.task,
        "method": record.method,
        "seed": record.seed,
        "return": final,
        "best_return": run.returns.best.mean,
        "score": None if isinstance(ends, str) else anchors.score(ends, final),
        **{f"valid_{key}": share for key, share in valid.items()},
        "violations": run.violations.policy.count,
        "steps": run.steps,
        "seconds": summaries.training(run),
        "prepare_seconds": record.seconds.prepare,
        "run_key": record.run_key,
    }


def curves_frame(found: Selection) -> pd.DataFrame:
    """One row per evaluation of each complete run of the profile's tasks and methods."""
    returns = summaries.learning_curves(found).seeds.rename(columns={"value": "return"})
    violations = summaries.violation_curves(found).seeds.rename(columns={"value": "violations"})
    frame = returns.merge(violations, on=[*OF_RUN, "step"], how="left")
    return frame.astype({"seed": "int64", "step": "int64", "return": float, "violations": float})
