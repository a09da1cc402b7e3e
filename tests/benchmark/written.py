"""Tables as they are written, read again."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.publishing.tables.writing import write_tables
from tests.benchmark.factories import METHODS, PROFILE, SEEDS, alter

TASKS = ("R+L2", "HC+O")
NAMES = ("leaderboard", "flows", "violations", "wallclock", "returns")


def write(folder: Path, tasks: tuple[str, ...] = TASKS, seeds: tuple[int, ...] = SEEDS) -> dict[str, str]:
    return {path.name: path.read_text() for path in write_tables(folder, PROFILE, tasks, METHODS, seeds)}


def frame(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv", keep_default_na=True)


def row_of(table: str, *cells: str) -> list[str]:
    """The first row of a Markdown table that begins with the given cells."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return next(row for row in rows if tuple(row[: len(cells)]) == cells)


def change(path: Path, **changes: object) -> None:
    alter(path, lambda data: data.update(changes))
