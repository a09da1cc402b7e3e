"""Numbers and frames as text: cells, views, and whole tables in every format."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
from tabulate import tabulate

from benchmark.analysis.comparison import Compared, Difference
from benchmark.records.results import TOLERANCES

DASH = "—"
# Digits of numbers in CSVs, on which all processors agree.
DIGITS = "%.12g"
MARK = "†"

# Escapes characters that LaTeX would interpret.
LATEX = str.maketrans(
    {
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "<": "\\textless{}",
        ">": "\\textgreater{}",
        "|": "\\textbar{}",
        **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    }
)


@dataclass(frozen=True)
class Column:
    """A printed column: its header, and its quantity and tolerance in the tidy frame."""

    header: str
    quantity: str
    tolerance: float | None = None

    @property
    def key(self) -> tuple[str, float | None]:
        """The key of its cells in the tidy frame."""
        return self.quantity, self.tolerance


def valid_columns(quantity: str) -> list[Column]:
    """A column for the valid share at each tolerance."""
    return [Column(f"valid at {tol:g} [%]", quantity, tol) for tol in TOLERANCES]


# Maps a mean, the ends of its interval (or None), and whether they are shares, to a format for all three.
Digits = Callable[[float, float | None, float | None, bool], Callable[[float], str]]


def digits_of_mean(mean: float, low: float | None, high: float | None, share: bool) -> Callable[[float], str]:
    """Three significant digits of the mean, or a share in per cent, as in the committed tables."""
    return percent if share else like(mean, whole=pd.isna(low) or pd.isna(high))


def digits_of_interval(
    mean: float, low: float | None, high: float | None, share: bool, least: int = 0
) -> Callable[[float], str]:
    """As many digits as are meaningful: one unit of the last digit is at most a quarter of the interval's width.

    There are ``least`` decimals or more.
    """
    if low is None or high is None or not 0 < high - low < math.inf:
        return (lambda value: percent(value, 1)) if share else digits_of_mean(mean, low, high, share)
    decimals = max(least, -math.floor(math.log10((100 if share else 1) * (high - low) / 4)))
    return (lambda value: percent(value, decimals)) if share else lambda value: f"{value:z,.{decimals}f}"


# Scores are near 1, so whole numbers would say too little, however wide the interval.
digits_of_score = partial(digits_of_interval, least=1)


def make_view(
    frame: pd.DataFrame,
    keys: list[str],
    columns: Sequence[Column],
    runs: str = "runs",
    digits: Digits = digits_of_mean,
) -> pd.DataFrame:
    """As :func:`make_cells`, without the tasks and the columns that have no numbers."""
    if "task" in keys:
        frame = frame[frame.groupby("task")["n"].transform("max") > 0]
    view = make_cells(frame, keys, columns, runs, digits)
    empty = [column.header for column in columns if (view[column.header] == DASH).all()] if len(view) else []
    return view.drop(columns=empty)


def make_cells(
    frame: pd.DataFrame,
    keys: list[str],
    columns: Sequence[Column],
    runs: str = "",
    digits: Digits = digits_of_mean,
) -> pd.DataFrame:
    """The text of a table: one row for each combination of ``keys``, in the order of the frame.

    If ``runs`` is not empty, a column of that name has the number of runs found and wanted; a cell from fewer runs says
    so itself. Missing numbers are dashes.
    """
    rows = []
    for key, cells in cells_by_row(frame, keys).items():
        found, wanted = (int(max(cell[size] for cell in cells.values())) for size in ("n", "N"))
        row = {name: str(text) or DASH for name, text in zip(keys, key, strict=True)}
        row |= {runs: f"{found}/{wanted}"} if runs else {}
        for column in columns:
            row[column.header] = format_cell(cells[column.key], found, digits) if column.key in cells else DASH
        rows.append(row)
    return pd.DataFrame(rows, columns=[*keys, *([runs] if runs else []), *(column.header for column in columns)])


def cells_by_row(frame: pd.DataFrame, keys: list[str]) -> dict[tuple[str, ...], dict[Any, dict[Any, Any]]]:
    """The cells of a tidy frame by quantity and tolerance, for each combination of ``keys`` in the frame's order."""
    rows: dict[tuple[str, ...], dict[Any, dict[Any, Any]]] = {}
    # NaN does not equal itself, so it cannot be part of a key.
    known = frame.assign(tolerance=frame["tolerance"].astype(object).where(frame["tolerance"].notna(), None))
    for cell in known.to_dict("records"):
        rows.setdefault(tuple(cell[key] for key in keys), {})[cell["quantity"], cell["tolerance"]] = cell
    return rows


def format_cell(cell: Mapping[Any, Any], expected: int, digits: Digits = digits_of_mean) -> str:
    """A cell as "mean [low, high]", with (n/N) if it has fewer runs than its row, and a mark if it has a note."""
    if pd.isna(cell["mean"]):
        return DASH
    ends = [] if pd.isna(cell["low"]) else [cell["low"], cell["high"]]
    low, high = ends or (None, None)
    number = digits(cell["mean"], low, high, cell["unit"] == "share")
    text = number(cell["mean"])
    if ends:
        text += f" [{number(cell['low'])}, {number(cell['high'])}]"
    if cell["n"] != expected:
        text += f" ({cell['n']}/{cell['N']})"
    return f"{text} {MARK}" if cell["note"] else text


def percent(share: float, decimals: int = 2) -> str:
    """A share in per cent, with at least these decimals and enough to distinguish it from 0 and 100."""
    if share in (0, 1):
        return f"{100 * share:.0f}"
    texts = (f"{100 * share:.{digits}f}" for digits in range(decimals, 17))
    return next((text for text in texts if float(text) not in (0, 100)), repr(100 * share))


def like(mean: float, whole: bool) -> Callable[[float], str]:
    """A format with at least three significant digits of ``mean``, for it and the ends of its interval.

    With ``whole``, a whole number is printed without decimals, which would hide the width of an interval.
    """
    size = abs(mean)
    if 0 < size < 1e-3:
        return lambda value: "0" if value == 0 else f"{value:.2e}"
    if whole and float(mean).is_integer():
        return lambda value: f"{value:z,.0f}"
    digits = max(0, 2 - math.floor(math.log10(size))) if size > 0 else 0
    return lambda value: f"{value:z,.{digits}f}"


@dataclass(frozen=True)
class View:
    """One formatted table.

    Attributes:
        heading: What it shows; empty if it is the only view of its table.
        cells: The text of every cell.
    """

    heading: str
    cells: pd.DataFrame


@dataclass(frozen=True)
class Table:
    """A table: all its numbers, and the views that are printed.

    Attributes:
        caption: What the table shows and how to read it; at most two sentences.
        notes: Facts about the runs behind it and about single rows.
    """

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    views: list[View]
    notes: list[str]


def markdown(table: Table, notes: list[str], level: str) -> str:
    """A table as Markdown; ``level`` is the prefix of its heading, such as ``"##"``."""
    blocks = [f"{level} {table.title}", table.caption]
    for view in table.views:
        if view.heading:
            blocks.append(f"{level}# {view.heading}")
        blocks.append(view.cells.to_markdown(index=False, disable_numparse=True))
    if notes:
        blocks.append(bullets(notes))
    return "\n\n".join(blocks) + "\n"


def bullets(notes: list[str]) -> str:
    """Notes as a Markdown list; text of error messages is escaped."""
    return "\n".join("- " + note.translate({ord(mark): f"\\{mark}" for mark in "\\`*_<>[]|$~"}) for note in notes)


def latex(table: Table, notes: list[str]) -> str:
    """A table as LaTeX; needs the packages booktabs and graphicx."""
    blocks = ["% Generated from the run files; needs \\usepackage{booktabs,graphicx}."]
    for number, view in enumerate(table.views):
        heading = f"{table.title}: {view.heading}" if view.heading else table.title
        caption = f"{heading}. {table.caption}" if number == 0 else f"{heading} (continued)."
        blocks += [
            "\\begin{table}[tbp]",
            "\\centering\\footnotesize",
            f"\\caption{{{caption.translate(LATEX)}}}",
            f"\\label{{tab:{table.name}-{number}}}",
            "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%",
            view.cells.to_latex(index=False, escape=True).rstrip() + "%",
            "}",
        ]
        if notes and number == len(table.views) - 1:
            blocks += ["\\begin{itemize}", *(f"\\item {note.translate(LATEX)}" for note in notes), "\\end{itemize}"]
        blocks.append("\\end{table}")
    return "\n".join(blocks) + "\n"


def comparison_text(compared: Compared) -> str:
    """The comparison for a terminal."""
    rows = [
        {
            "task": one.task if one.method_a != one.method_b else f"{one.task} {one.method_a}",
            "quantity": _label(one),
            "A": _number(one, one.a),
            "B": _number(one, one.b),
            "B - A": _number(one, one.difference),
            "95% interval": DASH if one.low is None else f"{_number(one, one.low)} to {_number(one, one.high)}",
            "n": f"{one.n_a}, {one.n_b}",
            "shown": one.shown,
        }
        for one in compared.differences
    ]
    table = tabulate(rows, headers="keys", disable_numparse=True) if rows else "nothing is compared"
    return "\n".join(
        [f"A: {compared.a}", f"B: {compared.b}", "", table, *([""] if compared.notes else []), *compared.notes]
    )


def _label(one: Difference) -> str:
    if one.unit == "share":
        return f"{one.quantity} at {one.tolerance:g} [%]"
    unit = "" if one.unit == "return" else f" [{one.unit}]"
    return f"{one.quantity}{unit}"


def _number(one: Difference, value: float | None) -> str:
    if value is None:
        return DASH
    if one.unit == "share":
        return percent(value)
    known = [abs(known) for known in (one.a, one.b) if known is not None]
    return like(max(known, default=0.0), whole=False)(value)
