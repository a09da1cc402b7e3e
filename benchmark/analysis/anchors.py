"""The reference returns that define scores, and the return of doing nothing, with their runs and intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from benchmark.analysis.statistics import mean_interval, point
from benchmark.analysis.summaries import Cell, make_cell, make_frame
from benchmark.records.runs import HIGH_METHOD, IDLE_METHOD, LOW_METHOD, unconstrained_task
from benchmark.records.selection import CompleteRun, Selection, commits
from envs.registry import make_task

ANCHOR_KEYS = ("task", "score", "measured on", "method", "commits")
OF_INTERVAL = "none: of the interval of the anchor"


def final_returns(runs: Iterable[CompleteRun]) -> list[float]:
    """The return of each run's last policy."""
    return [run.returns.final.mean for run in runs]


def scale(found: Selection, task: str) -> tuple[float, float] | str:
    """The returns of score 0 and score 1 on a task, or the reason why there are none.

    Score 0 is the mean of random feasible actions, 1 that of DDPG without the constraint at the same budget, each over
    all seeds: with fewer, a task's scores would change with every reference run.
    """
    low, high = (final_returns(runs) for runs in found.anchors(task))
    # A selection without seeds takes whatever runs there are.
    wanted = len(found.seeds) or 1
    lacking = [
        f"{len(values)} of {wanted} {name}"
        for name, values in (("random-feasible", low), ("unconstrained", high))
        if len(values) < wanted
    ]
    if lacking:
        return f"{' and '.join(lacking)} reference runs are complete"
    if min(high) <= max(low):
        return "at this budget learning without the constraint is not clearly better than random feasible actions"
    return float(np.mean(low)), float(np.mean(high))


def score(ends: tuple[float, float], value: float) -> float:
    """The score of a return, given the returns of score 0 and score 1."""
    low, high = ends
    return (value - low) / (high - low)


def anchor_frame(found: Selection) -> pd.DataFrame:
    """Reference returns of every task and the return of doing nothing, each with half of its interval as a score."""
    return make_frame(ANCHOR_KEYS, [cell for task in found.tasks for cell in _task_cells(found, task)])


def _task_cells(found: Selection, task: str) -> Iterator[Cell]:
    low, high = found.anchors(task)
    idle = found.idle(task)
    free = unconstrained_task(make_task(task)) or ""
    ends = scale(found, task)
    level = ""
    if idle and not isinstance(ends, str):
        level = f"{score(ends, float(np.mean(final_returns(idle)))):.2f}"
    references = (("0", task, LOW_METHOD, low), ("1", free, HIGH_METHOD, high), (level, task, IDLE_METHOD, idle))
    for value, place, method, runs in references:
        made = commits([run.record.provenance for run in runs]) if runs else ""
        row = {"task": task, "score": value, "measured on": place, "method": method, "commits": made}
        row |= {"profile": found.profile, "seeds": " ".join(str(run.record.seed) for run in runs)}
        size = {"N": len(found.seeds), "steps": runs[0].steps if runs else None}
        mean = mean_interval(final_returns(runs))
        half = None
        if mean.low is not None and mean.high is not None and not isinstance(ends, str):
            half = (mean.high - mean.low) / 2 / (ends[1] - ends[0])
        yield make_cell("final return", "return", mean) | row | size
        yield make_cell("half width", "score", point(half, mean.n, OF_INTERVAL)) | row | size
