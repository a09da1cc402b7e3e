"""Two methods side by side: the numbers of every method by task; the page shows two of the columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from benchmark.analysis.leaderboard import ALL_TASKS, BASELINE, Leaderboard
from benchmark.publishing.site.cells import Cell, Row, leaderboard_rows
from benchmark.publishing.tables.rendering import DASH, cells_by_row, digits_of_interval, format_cell
from benchmark.records.reports import of_timing
from benchmark.records.runs import IDLE_METHOD

VALID, TOLERANCE = "final valid share", "1e-06"


@dataclass(frozen=True)
class Quantity:
    """A row of the comparison: the number of each method, and whether a high or a low one is better."""

    name: str
    better: Literal["high", "low"]
    cells: dict[str, Cell]


def rivals_of(methods: Sequence[str]) -> dict[str, str]:
    """The method that each one is compared with first: the baseline, or for the baseline the first of the others."""
    others = [method for method in methods if method != BASELINE]
    against = BASELINE if BASELINE in methods else methods[0]
    return {method: against if method != against else (others or [against])[0] for method in methods}


def compare_page(board: Leaderboard, methods: Sequence[str]) -> dict[str, Any]:
    """Everything compared by task, and the two methods shown first."""
    rows = {(row.task, row.method): row for row in leaderboard_rows(board, board.frame)}
    compared = {}
    if board.whole_methods:
        compared[f"{len(board.whole_tasks)} tasks together: {', '.join(board.whole_tasks)}"] = quantities(
            rows, ALL_TASKS, methods
        )
    for task in board.found.begun():
        steps = {method: step_cell(board, task, method) for method in methods}
        compared[task] = [*quantities(rows, task, methods), *with_numbers("step [ms]", "low", steps)]
    first = methods[0]
    return {"compared": compared, "idle": IDLE_METHOD, "pair": {"first": first, "second": rivals_of(methods)[first]}}


def quantities(rows: dict[tuple[str, str], Row], task: str, methods: Sequence[str]) -> list[Quantity]:
    """Score, final return and validity on a task."""
    known = {method: rows[task, method] for method in methods if (task, method) in rows}
    columns = {
        "score": {method: row.score for method, row in known.items()},
        "final return": {method: row.final for method, row in known.items()},
        "valid at 1e-6 [%]": {method: row.valid[VALID][TOLERANCE] for method, row in known.items()},
    }
    found = []
    for name, cells in columns.items():
        found += with_numbers(name, "high", {method: cells.get(method, Cell(DASH)) for method in methods})
    return found


def with_numbers(name: str, better: Literal["high", "low"], cells: dict[str, Cell]) -> list[Quantity]:
    """The row of a quantity, or nothing if no method has a number."""
    return [Quantity(name, better, cells)] if any(cell.text != DASH for cell in cells.values()) else []


def step_cell(board: Leaderboard, task: str, method: str) -> Cell:
    """What a training step costs."""
    own = board.timing[(board.timing["task"] == task) & (board.timing["method"] == method)]
    cell = cells_by_row(own, ["task", "method"]).get((task, method), {}).get(("step", None))
    if cell is None or pd.isna(cell["mean"]):
        return Cell(DASH)
    ends = None if pd.isna(cell["low"]) else (float(cell["low"]), float(cell["high"]))
    text = format_cell(cell, cell["n"], digits_of_interval)
    return Cell(text, float(cell["mean"]), of_timing(task), f"Training step of {method} on {task}", ends=ends)
