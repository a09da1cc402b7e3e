"""Numbers and frames as text: cells, views, and whole tables in every form that they are written in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from tabulate import tabulate

from benchmark.analysis.comparison import Compared, Difference
from benchmark.records.results import TOLERANCES

DASH = "—"
# Of numbers in CSVs: the digits that every processor agrees on.
DIGITS = "%.12g"
MARK = "†"

# Text that LaTeX prints as it is.
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
    """A printed column: its header, and the quantity and tolerance of the tidy frame that it shows."""

    header: str
    quantity: str
    tolerance: float | None = None

    @property
    def key(self) -> tuple[str, float | None]:
        """What a cell of the tidy frame is found by."""
        return self.quantity, self.tolerance


def valid_columns(quantity: str) -> list[Column]:
    """A column for the valid share at each tolerance."""
    return [Column(f"valid at {tol:g} [%]", quantity, tol) for tol in TOLERANCES]


# Mean and ends of an interval, which may be missing, and whether they are shares, to a format for all three.
Digits = Callable[[float, float | None, float | None, bool], Callable[[float], str]]


def digits_of_mean(mean: float, low: float | None, high: float | None, share: bool) -> Callable[[float], str]:
    """Three significant digits of the mean, or a share in per cent; the digits of the tables that are kept."""
    return percent if share else like(mean, whole=pd.isna(low) or pd.isna(high))


def digits_of_interval(mean: float, low: float | None, high: float | None, share: bool) -> Callable[[float], str]:
    """As many digits as say something: the last one counts at most half of half the interval's width."""
    if low is None or high is None or not 0 < high - low < math.inf:
        return (lambda value: percent(value, 1)) if share else digits_of_mean(mean, low, high, share)
    decimals = max(0, -math.floor(math.log10((100 if share else 1) * (high - low) / 4)))
    return (lambda value: percent(value, decimals)) if share else lambda value: f"{value:,.{decimals}f}"


def make_view(
    frame: pd.DataFrame,
    keys: list[str],
    columns: Sequence[Column],
    runs: str = "runs",
    digits: Digits = digits_of_mean,
) -> pd.DataFrame:
    """As :func:`make_cells`, without the tasks of which no row has anything."""
    if "task" in keys:
        frame = frame[frame.groupby("task")["n"].transform("max") > 0]
    return make_cells(frame, keys, columns, runs, digits)


def make_cells(
    frame: pd.DataFrame,
    keys: list[str],
    columns: Sequence[Column],
    runs: str = "",
    digits: Digits = digits_of_mean,
) -> pd.DataFrame:
    """The text of a table: a row for each combination of ``keys``, in the order of the frame.

    The column named ``runs``, if it has a name, says how many of how many runs a row is from; a cell with fewer says so
    itself. There is a dash for what the frame has not got.
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
    # NaN equals nothing, not even itself, and so cannot be part of a key.
    known = frame.assign(tolerance=frame["tolerance"].astype(object).where(frame["tolerance"].notna(), None))
    for cell in known.to_dict("records"):
        rows.setdefault(tuple(cell[key] for key in keys), {})[cell["quantity"], cell["tolerance"]] = cell
    return rows


def format_cell(cell: Mapping[Any, Any], expected: int, digits: Digits = digits_of_mean) -> str:
    """A cell as "mean [low, high]"; with (n/N) where it comes from fewer runs than its row, and marked for a note."""
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
    """A share in per cent, with these decimals or as many more as it takes to tell it from 0 and from 100."""
    if share in (0, 1):
        return f"{100 * share:.0f}"
    texts = (f"{100 * share:.{digits}f}" for digits in range(decimals, 17))
    return next((text for text in texts if float(text) not in (0, 100)), repr(100 * share))


def like(mean: float, whole: bool) -> Callable[[float], str]:
    """A format with at least three significant digits of ``mean``, for it and the ends of its interval.

    With ``whole``, a mean that is a whole number is printed as one; next to an interval that would hide its width.
    """
    size = abs(mean)
    if 0 < size < 1e-3:
        return lambda value: "0" if value == 0 else f"{value:.2e}"
    if whole and float(mean).is_integer():
        return lambda value: f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(size))) if size > 0 else 0
    return lambda value: f"{value:,.{digits}f}"


@dataclass(frozen=True)
class View:
    """One formatted table.

    Attributes:
        heading: What it shows, where a table consists of several; else empty.
        cells: The text of every cell.
    """

    heading: str
    cells: pd.DataFrame


@dataclass(frozen=True)
class Table:
    """A table in every form: all numbers, and the views of them that are printed.

    Attributes:
        notes: What a reader has to know about single rows.
    """

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    views: list[View]
    notes: list[str]


def markdown(table: Table, notes: list[str], level: str) -> str:
    """A table as Markdown; ``level`` is the mark of its heading."""
    blocks = [f"{level} {table.title}", table.caption]
    for view in table.views:
        if view.heading:
            blocks.append(f"{level}# {view.heading}")
        blocks.append(view.cells.to_markdown(index=False, disable_numparse=True))
    if notes:
        blocks.append(bullets(notes))
    return "\n\n".join(blocks) + "\n"


def bullets(notes: list[str]) -> str:
    """Notes as a Markdown list; what an error message holds is never read as markup."""
    return "\n".join("- " + note.translate({ord(mark): f"\\{mark}" for mark in "\\`*_<>[]|$~"}) for note in notes)


def latex(table: Table, notes: list[str]) -> str:
    """A table as LaTeX, for the packages booktabs and graphicx."""
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
