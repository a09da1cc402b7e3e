"""The table of the anchors that scores are conditional on."""

from __future__ import annotations

from benchmark.analysis.anchors import ANCHOR_KEYS
from benchmark.analysis.leaderboard import Leaderboard
from benchmark.publishing.tables.rendering import Column, make_view
from benchmark.publishing.tables.table import Table, View
from benchmark.records.anchors import HIGH_METHOD, LOW_METHOD


def anchor_table(board: Leaderboard) -> Table:
    """The anchors of every task, each with its mean, interval, seeds, budget and commits."""
    frame = board.anchors
    columns = [Column("final return", "final return"), Column("half of the interval, as a score", "half width")]
    caption = (
        f"Profile {board.found.profile}. What returns are measured by: a score of 0 is the mean final return of "
        f"{LOW_METHOD}, 1 that of {HIGH_METHOD} on the same environment without the constraint. All scores are "
        "conditional on these means: their own spread, here as 95% interval by Student's t over seeds and as half of "
        "its width on the scale that the two span, is in no interval of a score."
    )
    known = frame[frame["n"] > 0]
    budgets = [f"{steps:,} steps" for steps in known["steps"]]
    view = make_view(known.assign(budget=budgets), [*ANCHOR_KEYS, "budget", "seeds"], columns)
    return Table("anchors", "Anchors of the scores", caption, frame, [View("", view)], [])
