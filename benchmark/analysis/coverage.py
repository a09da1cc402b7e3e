"""Whether the states that a flow was trained on cover those that were visited, and the flow's validity there."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from benchmark.analysis.statistics import mean_interval
from benchmark.analysis.summaries import SHARE, Cell, make_cell, make_frame, over_runs
from benchmark.records.results import TOLERANCES
from benchmark.records.selection import Selection


def coverage_frame(found: Selection) -> pd.DataFrame:
    """Tidy frame of all tasks whose coverage was measured (``acrl visited``): shares over seeds."""

    def cells(task: str, method: str) -> Iterable[Cell]:
        report = found.coverage.get(task)
        seeds = [str(run.record.seed) for run in found.runs(task, method)]
        by_seed = report.runs.get(method, {}) if report else {}
        shares = [by_seed[seed] for seed in seeds if seed in by_seed]
        if not shares:
            return
        yield make_cell("within range", "share", mean_interval([one.within_range for one in shares], SHARE))
        yield make_cell("near", "share", mean_interval([one.near for one in shares], SHARE))
        for tolerance in TOLERANCES:
            valid = [one.valid[f"{tolerance:g}"] for one in shares if one.valid]
            yield make_cell("valid there", "share", mean_interval(valid, SHARE), tolerance)

    return make_frame(("task", "method"), over_runs(found, cells))
