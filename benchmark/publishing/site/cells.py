"""The content of the report's tables: numbers as text, each with the names of its sources."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.analysis.leaderboard import ALL_TASKS, BASELINE, Leaderboard
from benchmark.publishing.tables.leaderboard import NO_SCORES, SCORE_0, SCORE_1, pair_view, rank_text, scale_view
from benchmark.publishing.tables.rendering import DASH, cells_by_row, digits_of_interval, digits_of_score, format_cell
from benchmark.records.reports import of_runs
from benchmark.records.results import TOLERANCES
from benchmark.records.runs import HIGH_METHOD, IDLE_METHOD, LOW_METHOD, unconstrained_task
from benchmark.records.selection import Selection
from envs.registry import make_task

# The outputs that "valid" counts, by quantity in the tidy frame.
VALIDITY = {"final valid share": "the last policy", "valid share": "the whole training"}
# Sorts below every number.
NOTHING = -1e308


@dataclass(frozen=True)
class Cell:
    """A number as text.

    Attributes:
        sort: Sort key.
        sources: Names of its sources (``records.reports``), separated by spaces; empty if it is not a number.
        about: Heading above its sources.
        strong: Whether it is emphasised.
        ends: Ends of its interval, if it has one.
    """

    text: str
    sort: float = NOTHING
    sources: str = ""
    about: str = ""
    strong: bool = False
    ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Grid:
    """A table: the headers of its columns, and its rows, whose first cells are their labels."""

    heads: list[str]
    rows: list[list[Cell]]

    def without_empty(self) -> Grid:
        """The same table without empty columns."""
        kept = [i for i in range(len(self.heads)) if any(row[i].text not in ("", DASH) for row in self.rows)]
        return Grid([self.heads[i] for i in kept], [[row[i] for i in kept] for row in self.rows])


@dataclass(frozen=True)
class Row:
    """One row of the leaderboard: a method on one task or on all.

    Attributes:
        valid: Cells by quantity and tolerance.
    """

    task: str
    method: str
    runs: Cell
    rank: Cell
    score: Cell
    final: Cell
    better: Cell
    valid: dict[str, dict[str, Cell]]


def number(text: str, sources: Iterable[str], about: str, sort: float = NOTHING) -> Cell:
    """A cell with its sources; a dash has none."""
    return Cell(text, sort) if text == DASH else Cell(text, sort, " ".join(dict.fromkeys(sources)), about)


def make_grid(view: pd.DataFrame, plain: Sequence[str], origin: Callable[[dict[str, str], str], Sequence[str]]) -> Grid:
    """The table of a view; ``plain`` columns hold no numbers, and ``origin`` names the sources of a cell."""
    rows = []
    for texts in view.to_dict("records"):
        row = {str(name): str(text) for name, text in texts.items()}
        what = ", ".join(row[name] for name in plain if name in row)
        cells = [
            Cell(text) if name in plain else number(text, origin(row, name), f"{name}: {what}")
            for name, text in row.items()
        ]
        rows.append(cells)
    return Grid([str(name) for name in view], rows).without_empty()


def leaderboard_rows(board: Leaderboard, frame: pd.DataFrame) -> list[Row]:
    """Rows of all tasks together, then of each task, by descending score if methods are ranked."""
    ranks = frame[(frame["quantity"] == "best rank") & frame["mean"].notna()]
    ranked = {str(task): list(group["method"]) for task, group in ranks.groupby("task")}
    rows = [
        make_row(board, task, method, cells, ranked.get(task, []))
        for (task, method), cells in cells_by_row(frame, ["task", "method"]).items()
        if max(cell["n"] for cell in cells.values())
    ]
    order = [ALL_TASKS, *board.found.tasks]
    if not board.found.ranked:
        return sorted(rows, key=lambda row: order.index(row.task))
    return sorted(rows, key=lambda row: (order.index(row.task), -row.score.sort, -row.final.sort))


def make_row(
    board: Leaderboard, task: str, method: str, cells: Mapping[Any, Mapping[Any, Any]], ranked: Sequence[str]
) -> Row:
    """One row from its cells by quantity and tolerance; ``ranked`` are the methods it is ranked among."""
    found, whole = board.found, task == ALL_TASKS
    n, wanted = (int(max(cell[size] for cell in cells.values())) for size in ("n", "N"))
    where, tasks = ("all tasks", board.whole_tasks) if whole else (task, [task])
    scored = board.scored_tasks if whole else [task]
    runs, own = runs_on(found, tasks, method), f"Runs of {where}, {method}"
    measures = [name for one in scored for name in anchor_sources(found, one)]
    scores = [*runs_on(found, scored, method), *measures]
    rivals = [name for other in ranked for name in runs_on(found, scored, other)]
    theirs = [*runs_on(found, scored, method), *runs_on(found, scored, BASELINE)]
    best, worst = (cells[end, None]["mean"] for end in ("best rank", "worst rank"))
    about_score = f"Score of {method}, {where}: its runs and the reference runs"
    about_rank = f"Rank of {method}, {where}: runs of all ranked methods and the reference runs"
    place = NOTHING if pd.isna(best) else -float(best + worst)

    def cell(quantity: str, sources: Iterable[str], about: str, tolerance: float | None = None) -> Cell:
        one = cells.get((quantity, tolerance))
        if one is None or pd.isna(one["mean"]):
            return Cell(DASH)
        ends = None if pd.isna(one["low"]) else (float(one["low"]), float(one["high"]))
        text = format_cell(one, n, digits_of_score if quantity == "score" else digits_of_interval)
        return dataclasses.replace(number(text, sources, about, float(one["mean"])), ends=ends)

    return Row(
        task=task,
        method=method,
        runs=number(f"{n}/{wanted}", runs, own, n),
        rank=number(rank_text(best, worst), [*scores, *rivals], about_rank, place),
        score=cell("score", scores, about_score),
        final=cell("final return", runs, own),
        better=cell("improvement", theirs, f"Runs of {method} and of {BASELINE}"),
        valid={name: {f"{tol:g}": cell(name, runs, own, tol) for tol in TOLERANCES} for name in VALIDITY},
    )


def runs_on(found: Selection, tasks: Iterable[str], method: str) -> list[str]:
    """Sources of a method's runs on tasks."""
    return [of_runs(task, method) for task in tasks if found.runs(task, method)]


def anchor_sources(found: Selection, task: str) -> list[str]:
    """Sources of a task's reference runs: those of score 0, then those of score 1."""
    return [*runs_on(found, [task], LOW_METHOD), *runs_on(found, free_task(task), HIGH_METHOD)]


def free_task(task: str) -> list[str]:
    """The task without its constraint, if there is one."""
    return list(filter(None, [unconstrained_task(make_task(task))]))


def pair_grid(board: Leaderboard) -> Grid:
    """Probability of improvement for each pair of methods, with the runs of both."""
    found, tasks = board.found, board.scored_tasks

    def origin(row: dict[str, str], other: str) -> list[str]:
        return [*runs_on(found, tasks, row["method"]), *runs_on(found, tasks, other)]

    return make_grid(pair_view(board, digits_of_interval), ["method"], origin)


def scale_grid(board: Leaderboard) -> Grid:
    """Reference returns and the return of doing nothing on each task, with their runs."""
    found, view = board.found, scale_view(board, digits_of_interval).drop(columns=NO_SCORES, errors="ignore")

    def origin(row: dict[str, str], column: str) -> list[str]:
        if SCORE_0 in column:
            return runs_on(found, [row["task"]], LOW_METHOD)
        if IDLE_METHOD in column:
            return runs_on(found, [row["task"]], IDLE_METHOD)
        return runs_on(found, free_task(row["task"]), HIGH_METHOD)

    numbers = [name for end in (SCORE_0, SCORE_1, IDLE_METHOD) for name in (end, f"runs of {end}")]
    return make_grid(view, [str(name) for name in view if name not in numbers], origin)
