"""The anchors that scores are conditional on: what they are, how many runs they are of, and how wide they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.analysis.leaderboard import final_returns, scale
from benchmark.analysis.statistics import mean_interval, point
from benchmark.analysis.summaries import Cell, make_cell, make_frame
from benchmark.publishing.tables.rendering import Column, make_view
from benchmark.publishing.tables.table import Table, View
from benchmark.records.anchors import HIGH_METHOD, LOW_METHOD, unconstrained_task
from benchmark.records.selection import CompleteRun, Selection, commits
from envs.registry import make_task

KEYS = ("task", "score", "measured on", "method", "commits")
OF_INTERVAL = "none: of the interval of the anchor"


def anchor_table(found: Selection) -> Table:
    """The anchors of every task, each with its mean, interval, seeds, budget and commits."""
    frame = make_frame(KEYS, [cell for task in found.tasks for cell in task_cells(found, task)])
    frame = frame.astype({"steps": "Int64"})
    columns = [Column("final return", "final return"), Column("half of the interval, as a score", "half width")]
    caption = (
        f"Profile {found.profile}. What returns are measured by: a score of 0 is the mean final return of "
        f"{LOW_METHOD}, 1 that of {HIGH_METHOD} on the same environment without the constraint. All scores are "
        "conditional on these means: their own spread, here as 95% interval by Student's t over seeds and as half of "
        "its width on the scale that the two span, is in no interval of a score."
    )
    known = frame[frame["n"] > 0]
    budgets = [f"{steps:,} steps" for steps in known["steps"]]
    view = make_view(known.assign(budget=budgets), [*KEYS, "budget", "seeds"], columns)
    return Table("anchors", "Anchors of the scores", caption, frame, [View("", view)], [])


def task_cells(found: Selection, task: str) -> Iterator[Cell]:
    """The two anchors of a task."""
    low, high = found.anchors(task)
    free = unconstrained_task(make_task(task)) or ""
    ends = scale(found, task)
    span = None if isinstance(ends, str) else ends[1] - ends[0]
    for score, place, method, runs in (("0", task, LOW_METHOD, low), ("1", free, HIGH_METHOD, high)):
        made = commits([run.record.provenance for run in runs]) if runs else ""
        row = {"task": task, "score": score, "measured on": place, "method": method, "commits": made}
        row |= {"profile": found.profile, "seeds": " ".join(str(run.record.seed) for run in runs)}
        yield from (
            cell | row | {"N": len(found.seeds), "steps": runs[0].steps if runs else None}
            for cell in anchor_cells(runs, span)
        )


def anchor_cells(runs: Sequence[CompleteRun], span: float | None) -> Iterator[Cell]:
    """One anchor, not yet told which: its return, and half of its interval on a scale of this length."""
    mean = mean_interval(final_returns(runs))
    yield make_cell("final return", "return", mean)
    half = None
    if mean.low is not None and mean.high is not None and span is not None:
        half = (mean.high - mean.low) / 2 / span
    yield make_cell("half width", "score", point(half, mean.n, OF_INTERVAL))
