"""The table of what a training step costs."""

from __future__ import annotations

from benchmark.analysis.leaderboard import Leaderboard
from benchmark.analysis.summaries import REFERENCE
from benchmark.analysis.timing import EXACT, STEP_PARTS, busy
from benchmark.publishing.tables.rendering import Column, make_view
from benchmark.publishing.tables.table import Table, View
from benchmark.records.machine import machine_of


def timing_tables(board: Leaderboard) -> list[Table]:
    """What a training step costs; no table where nothing was timed."""
    found, frame = board.found, board.timing
    if frame.empty:
        return []
    machines = sorted({machine_of(timing.provenance) for timing in found.timing.values() if timing.provenance})
    sizes = sorted(
        {(len(rounds), timing.steps) for timing in found.timing.values() for rounds in timing.rounds.values()}
    )
    most = max(busy(timing, timing.rounds) for timing in found.timing.values())
    listed = ", ".join(f"{rounds} rounds of {steps:,} steps" for rounds, steps in sizes)
    caption = (
        f"Profile {found.profile}. Measured by `acrl timing`, one method after the other in one process, in turns: "
        f"{listed}, an update each step from the first one on, evaluation left out, on: "
        f"{'; '.join(machines)}, where everything else kept at most {most:.2f} cores busy meanwhile. Each cell is the "
        "mean over rounds with its 95% interval by Student's t. Training: the published number of steps at this cost, "
        "with the flow's samples and training as this profile trains it "
        "(random steps at the start, which have no update, are 4% of the published steps at most and count as the "
        f"others). Ratios are of geometric means, to those of {REFERENCE} where nothing else is said, with Welch's "
        "interval for the difference of logarithms."
    )
    ratios = [Column("step [ms]", "step"), Column("ratio", "step ratio")]
    ratios += [Column("training with flow [s]", "training"), Column("ratio with flow", "training ratio")]
    exact = [Column("step", "step to exact"), Column("update, its projections left out", "update to exact")]
    parts = [Column(f"{part} [ms]", part) for part in STEP_PARTS]
    views = [
        View("A training step, and a whole training", make_view(frame, ["task", "method"], ratios, "rounds")),
        View(f"Ratios to {EXACT}", make_view(frame, ["task", "method"], exact, "rounds")),
        View("Parts of a step", make_view(frame, ["task", "method"], parts, "rounds")),
    ]
    marked = frame[frame["note"] != ""].drop_duplicates(["task", "method"], keep="last")
    notes = [f"† {row['task']}, {row['method']}: {row['note']}." for _, row in marked.iterrows()]
    return [Table("timing", "Time of a training step", caption, frame, views, notes)]
