"""A table in every form that it is written in: all numbers, and views of them as Markdown and LaTeX."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from benchmark.publishing.tables.rendering import escape_latex


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
        caption = f"{heading}. {table.caption}" if number == 0 else f"{heading}. As in the table before."
        blocks += [
            "\\begin{table}[tbp]",
            "\\centering\\footnotesize",
            f"\\caption{{{escape_latex(caption)}}}",
            f"\\label{{tab:{table.name}-{number}}}",
            "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%",
            view.cells.to_latex(index=False, escape=True).rstrip() + "%",
            "}",
        ]
        if notes and number == len(table.views) - 1:
            blocks += ["\\begin{itemize}", *(f"\\item {escape_latex(note)}" for note in notes), "\\end{itemize}"]
        blocks.append("\\end{table}")
    return "\n".join(blocks) + "\n"
