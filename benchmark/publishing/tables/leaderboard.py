"""The tables of the leaderboard, of the reference returns behind its scores, and of the time of a training step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd
from tabulate import tabulate

from benchmark.analysis.anchors import ANCHOR_KEYS
from benchmark.analysis.leaderboard import ALL_TASKS, BASELINE, Leaderboard
from benchmark.analysis.summaries import REFERENCE
from benchmark.analysis.timing import EXACT, STEP_PARTS, busy
from benchmark.publishing.tables.notes import caveats, notes_of_cells
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
    "On bike sharing, methods that do not know the equality of the constraint miss it at small tolerances, whatever "
    "they learn."
)
# Headers of the table of reference returns.
SCORE_0, SCORE_1, NO_SCORES = "score 0", "score 1", "why no scores"
VALID_LAST = valid_columns("final valid share")


def leaderboard_table(board: Leaderboard) -> Table:
    """The leaderboard."""
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
        View("Probability that the row's method has a higher return than the column's [%]", pair_view(board)),
        View("Reference returns", scale_view(board)),
    ]
    caption = (
        "Scores and validity of the last policies, with 95% confidence intervals. A score of 0 is the return of random "
        "feasible actions and 1 that of DDPG without the constraint; valid is the share of the policy's "
        "own outputs in C(s) at each tolerance."
    )
    scored, together = (", ".join(tasks) or "none yet" for tasks in (board.scored_tasks, board.whole_tasks))
    which = [f"Tasks with scores: {scored}. All tasks: {together}, in every column.", EQUALITY]
    return Table("leaderboard", "Leaderboard", caption, frame, views, which + notes(board))


def board_lines(board: Leaderboard, tasks: Sequence[str]) -> Iterator[str]:
    """The leaderboard for a terminal: on each of ``tasks``, or over all tasks if none is given."""
    found, frame = board.found, board.frame
    unscored = [
        f"{task} has no scores: {why}." for task, why in board.unscored().items() if task in (tasks or found.tasks)
    ]
    remarks = [*unscored, *caveats(found)]
    score, valid = Column("score", "score"), Column("valid at 1e-6 [%]", "final valid share", 1e-6)
    yield f"Profile {found.label}, seeds {', '.join(map(str, found.seeds))}."
    for task in tasks:
        one, keys = frame[frame["task"] == task], ["task", "method"]
        view = make_view(one, keys, [score, Column("final return", "final return"), valid])
        yield f"\n{task}, {found.steps(task) or 0:,} steps"
        yield plain(add_ranks(board, one, view, keys).drop(columns="task"))
    if tasks:
        yield from ["", *remarks] if remarks else []
        return
    whole = frame[frame["task"] == ALL_TASKS]
    view = make_view(whole, ["method"], [score, Column(f"better than {BASELINE} [%]", "improvement"), valid])
    yield f"Score: {', '.join(board.scored_tasks) or 'no task yet'}. Valid: {', '.join(board.whole_tasks)}.\n"
    yield plain(add_ranks(board, whole, view, ["method"])) + "\n"
    yield from [*notes(board), *remarks]
    yield f"On one task: acrl leaderboard -p {found.profile} --task {next(iter(found.begun()), found.tasks[0])}"


def board_document(board: Leaderboard, tasks: Sequence[str]) -> dict[str, object]:
    """The same as plain data: the cells of the tidy frame, over all tasks if none is given."""
    frame = board.frame[board.frame["task"].isin(tasks or [ALL_TASKS])]
    cells = frame.astype(object).where(frame.notna(), None).drop(columns=["profile"]).to_dict("records")
    return {
        "profile": board.found.profile,
        "scored_tasks": board.scored_tasks,
        "cells": cells,
        "notes": caveats(board.found),
    }


def plain(view: pd.DataFrame) -> str:
    """A view for a terminal."""
    return str(tabulate(view.to_dict("list"), "keys", tablefmt="simple", disable_numparse=True))


def add_ranks(board: Leaderboard, frame: pd.DataFrame, view: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The view with a column of ranks, sorted by task and by descending score.

    If the profile is too short to rank by, the view is returned unchanged.
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
    """One rank if it is certain, else a range such as "1 to 3"."""
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
    """Reference returns and the return of doing nothing for every task with a run, and why a task has no scores."""
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
    """The methods that are not ranked, and those that were submitted."""
    unranked = [method for method in board.found.methods if method not in board.ranked_methods]
    lines = describe_submissions(board.found.submitted)
    if unranked and board.scored_tasks and board.found.ranked:
        lines.insert(0, f"Not ranked, for lack of runs on some tasks: {', '.join(unranked)}.")
    return lines


def anchor_table(board: Leaderboard) -> Table:
    """Reference returns of every task and the return of doing nothing, with seeds, budget and commits."""
    frame = board.anchors
    columns = [Column("final return", "final return"), Column("half of the interval, as a score", "half width")]
    caption = (
        f"Final returns of profile {board.found.label} that define score 0 ({LOW_METHOD}) and score 1 ({HIGH_METHOD} "
        f"without the constraint), and that of {IDLE_METHOD}, the feasible action nearest to doing nothing. Brackets "
        "are 95% confidence intervals over seeds, which the intervals of scores do not include."
    )
    known = frame[frame["n"] > 0]
    budgets = [f"{steps:,} steps" for steps in known["steps"]]
    view = make_view(known.assign(budget=budgets), [*ANCHOR_KEYS, "budget", "seeds"], columns)
    return Table("anchors", "Reference returns", caption, frame, [View("", view)], [])


def timing_tables(board: Leaderboard) -> list[Table]:
    """What a training step costs; no table if nothing was timed."""
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
        f"Time of a training step in profile {found.label}: the mean over {listed}, with methods taking turns in one "
        "process and brackets for 95% confidence intervals. Training is the published number of steps at this cost "
        "plus the flow's sampling and training; ratios are of geometric means."
    )
    ratios = [Column("step [ms]", "step"), Column(f"over {REFERENCE}", "step ratio")]
    ratios += [Column("training with flow [s]", "training"), Column(f"with flow, over {REFERENCE}", "training ratio")]
    exact = [Column("step", "step to exact"), Column("update, its projections left out", "update to exact")]
    parts = [Column(f"{part} [ms]", part) for part in STEP_PARTS]
    views = [
        View("A training step, and a whole training", make_view(frame, ["task", "method"], ratios, "rounds")),
        View(f"Ratios to {EXACT}", make_view(frame, ["task", "method"], exact, "rounds")),
        View("Parts of a step", make_view(frame, ["task", "method"], parts, "rounds")),
    ]
    marked = frame[frame["note"] != ""].drop_duplicates(["task", "method"], keep="last")
    notes = [f"Machines: {'; '.join(machines)}; other load took at most {most:.2f} cores."]
    notes += [f"† {line}" for line in notes_of_cells(marked)]
    return [Table("timing", "Time of a training step", caption, frame, views, notes)]
