"""The tables of the leaderboard, of the anchors of its scores, and of the time of a training step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd
from tabulate import tabulate

from benchmark.analysis.anchors import ANCHOR_KEYS
from benchmark.analysis.leaderboard import ALL_TASKS, BASELINE, Leaderboard
from benchmark.analysis.summaries import REFERENCE
from benchmark.analysis.timing import EXACT, STEP_PARTS, busy
from benchmark.publishing.tables.rendering import (
    DASH,
    Column,
    Digits,
    Table,
    View,
    digits_of_mean,
    format_cell,
    make_view,
    valid_columns,
)
from benchmark.records.provenance import machine_of
from benchmark.records.runs import HIGH_METHOD, IDLE_METHOD, LOW_METHOD
from benchmark.records.submissions import describe_submissions

EQUALITY = (
    "Where the constraint has an equality (bike sharing) outputs of a method that does not know of it miss it at "
    "tolerance 0, whatever it learns; see single tasks for the others."
)
# Heads of the table of returns that scores are measured by.
SCORE_0, SCORE_1, NO_SCORES = "score 0", "score 1", "no scores, since"
VALID_LAST = valid_columns("final valid share")


def leaderboard_table(board: Leaderboard, described: str) -> Table:
    """The leaderboard; ``described`` are its profile, budget and seeds in one sentence."""
    frame = board.frame
    whole, single = frame[frame["task"] == ALL_TASKS], frame[frame["task"] != ALL_TASKS]
    columns = [
        Column("score", "score"),
        Column("score, other tasks", "score, other tasks"),
        Column(f"better than {BASELINE} [%]", "improvement"),
    ]
    keys = ["task", "method"]
    one_task = [Column("score", "score"), Column("final return", "final return"), *VALID_LAST]
    views = [
        View("All tasks", add_ranks(board, whole, make_view(whole, ["method"], [*columns, *VALID_LAST]), ["method"])),
        View("Single tasks", add_ranks(board, single, make_view(single, keys, one_task), keys)),
        View("Valid over the whole training", make_view(single, keys, valid_columns("valid share"))),
        View("How often the method of a row is better than that of a column [%]", pair_view(board)),
        View("Returns that scores are measured by", scale_view(board)),
    ]
    return Table("leaderboard", "Leaderboard", caption(board, described), frame, views, notes(board))


def board_lines(board: Leaderboard, tasks: Sequence[str]) -> Iterator[str]:
    """The leaderboard for a terminal, over all tasks together or, where some are given, on each of these."""
    found, frame = board.found, board.frame
    score, valid = Column("score", "score"), Column("valid at 1e-6 [%]", "final valid share", 1e-6)
    yield f"Profile {found.profile}, seeds {', '.join(map(str, found.seeds))}."
    for task in tasks:
        one, keys = frame[frame["task"] == task], ["task", "method"]
        view = make_view(one, keys, [score, Column("final return", "final return"), valid])
        yield f"\n{task}, {found.steps(task) or 0:,} steps"
        yield plain(add_ranks(board, one, view, keys).drop(columns="task"))
    if tasks:
        return
    whole = frame[frame["task"] == ALL_TASKS]
    view = make_view(whole, ["method"], [score, Column(f"better than {BASELINE} [%]", "improvement"), valid])
    yield f"Score: {', '.join(board.scored_tasks) or 'no task yet'}. Valid: {', '.join(board.whole_tasks)}.\n"
    yield plain(add_ranks(board, whole, view, ["method"])) + "\n"
    yield from notes(board)
    yield f"On one task: acrl leaderboard -p {found.profile} --task {next(iter(found.begun()), found.tasks[0])}"


def board_document(board: Leaderboard, tasks: Sequence[str]) -> dict[str, object]:
    """The same as plain data: the cells of the tidy frame, of all tasks together where none is given."""
    frame = board.frame[board.frame["task"].isin(tasks or [ALL_TASKS])]
    cells = frame.astype(object).where(frame.notna(), None).drop(columns=["profile"]).to_dict("records")
    return {"profile": board.found.profile, "scored_tasks": board.scored_tasks, "cells": cells}


def plain(view: pd.DataFrame) -> str:
    """A view for a terminal."""
    return str(tabulate(view.to_dict("list"), "keys", tablefmt="simple", disable_numparse=True))


def caption(board: Leaderboard, described: str) -> str:
    """What the numbers mean."""
    scored, whole = (", ".join(tasks) or "none yet" for tasks in (board.scored_tasks, board.whole_tasks))
    rank = "Rank: every rank that the intervals of the scores allow; where they overlap, methods are tied. "
    return (
        f"{described} Score: final return on a scale where random feasible actions are 0 and the same learner without "
        "the constraint is 1, at the same budget; over all tasks the mean of the middle half of all runs "
        "(interquartile mean), with the 95% interval of a bootstrap of seeds within each task; other tasks: of whole "
        f"tasks, from three tasks on. Tasks with scores: {scored}. {rank if board.found.ranked else ''}"
        f"Better: how likely a run has a higher return than one of {BASELINE} on the same task. Valid: share of the "
        "policy's own outputs that lie in C(s) within each tolerance, without noise and repair, by the last policy on "
        f"the states it visits. All tasks: {whole}, in every column. {EQUALITY} Single tasks: Student's t over seeds "
        "for returns and shares. Nothing here is of wall-clock, which compares on one machine alone: see Time of a "
        "training step."
    )


def add_ranks(board: Leaderboard, frame: pd.DataFrame, view: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The view with a column of ranks, tasks in their order and within each the highest score first.

    A view of a profile that is too short to rank by stays as it is.
    """
    if not board.found.ranked:
        return view
    known = frame[frame["tolerance"].isna()].pivot(index=keys, columns="quantity", values="mean")
    known = known.reindex(columns=["best rank", "worst rank", "score"]).reset_index()
    ends = zip(known["best rank"], known["worst rank"], strict=True)
    ranks = known[keys].assign(rank=[rank_text(best, worst) for best, worst in ends], order=known["score"])
    whole = view.merge(ranks, on=keys).sort_values("order", ascending=False, kind="stable")
    if "task" in keys:
        place = {task: index for index, task in enumerate(view["task"].unique())}
        whole = whole.sort_values("task", key=lambda tasks: tasks.map(place), kind="stable")
    return whole[[*keys, "rank", *(name for name in view if name not in keys)]].reset_index(drop=True)


def rank_text(best: float | None, worst: float | None) -> str:
    """One rank where it is certain, such as "1 to 3" where it is not."""
    if best is None or worst is None or math.isnan(best):
        return DASH
    return f"{best:.0f}" if best == worst else f"{best:.0f} to {worst:.0f}"


def pair_view(board: Leaderboard, digits: Digits = digits_of_mean) -> pd.DataFrame:
    """A row and a column for every ranked method."""
    methods = board.ranked_methods
    cells = {(cell["method"], cell["other"]): cell for cell in board.improvements.to_dict("records")}
    rows = [
        {"method": row}
        | {
            other: format_cell(cells[row, other], cells[row, other]["n"], digits) if row != other else DASH
            for other in methods
        }
        for row in methods
    ]
    return pd.DataFrame(rows, columns=["method", *methods])


def scale_view(board: Leaderboard, digits: Digits = digits_of_mean) -> pd.DataFrame:
    """For every task with a run: the returns of its score 0, its score 1 and of doing nothing; why it has no scores."""
    returns = board.anchors[board.anchors["quantity"] == "final return"]
    cells = {(cell["task"], cell["method"]): cell for cell in returns.to_dict("records")}
    ends_of = {SCORE_0: LOW_METHOD, SCORE_1: HIGH_METHOD, IDLE_METHOD: IDLE_METHOD}
    rows = []
    for task in board.found.begun():
        row = {"task": task}
        for end, method in ends_of.items():
            cell = cells[task, method]
            row |= {end: format_cell(cell, cell["n"], digits), f"runs of {end}": f"{cell['n']}/{cell['N']}"}
        ends = board.scales[task]
        rows.append(row | {NO_SCORES: ends if isinstance(ends, str) else ""})
    numbers = [name for end in ends_of for name in (end, f"runs of {end}")]
    frame = pd.DataFrame(rows, columns=["task", *numbers, NO_SCORES])
    return frame if frame[NO_SCORES].any() else frame.drop(columns=NO_SCORES)


def notes(board: Leaderboard) -> list[str]:
    """Which methods are not ranked, and which were submitted."""
    unranked = [method for method in board.found.methods if method not in board.ranked_methods]
    lines = describe_submissions(board.found.submitted)
    if unranked and board.scored_tasks and board.found.ranked:
        lines.insert(0, f"Not ranked, since they lack runs of some of these tasks: {', '.join(unranked)}.")
    return lines


def anchor_table(board: Leaderboard) -> Table:
    """The anchors of every task and doing nothing, each with its mean, interval, seeds, budget and commits."""
    frame = board.anchors
    columns = [Column("final return", "final return"), Column("half of the interval, as a score", "half width")]
    caption = (
        f"Profile {board.found.label}. What returns are measured by: a score of 0 is the mean final return of "
        f"{LOW_METHOD}, 1 that of {HIGH_METHOD} on the same environment without the constraint. All scores are "
        "conditional on these means: their own spread, here as 95% interval by Student's t over seeds and as half of "
        f"its width on the scale that the two span, is in no interval of a score. {IDLE_METHOD}: the feasible action "
        "nearest to doing nothing, a reference that enters no scale; its score is that of its mean."
    )
    known = frame[frame["n"] > 0]
    budgets = [f"{steps:,} steps" for steps in known["steps"]]
    view = make_view(known.assign(budget=budgets), [*ANCHOR_KEYS, "budget", "seeds"], columns)
    return Table("anchors", "Anchors of the scores, and doing nothing", caption, frame, [View("", view)], [])


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
        f"Profile {found.label}. Measured by `acrl timing`, one method after the other in one process, in turns: "
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
