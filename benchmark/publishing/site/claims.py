"""What the report says of FlowPG's claims: verdicts and effects, each with what it was measured in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from benchmark.analysis.claims.rule import Claim, Finding, Reading
from benchmark.publishing.claims.views import SHARED, Row, effect_rows, effect_text, verdict_rows, verdict_text
from benchmark.publishing.site.cells import Cell, Grid, make_grid
from benchmark.records.references import of_runs


@dataclass(frozen=True)
class ClaimPage:
    """One claim.

    Attributes:
        verdict: With everything that it was judged by.
        effects: What was measured, by heading; the first has none.
        extra: Further tables by heading.
        verdicts: Of each reading.
    """

    claim: Claim
    verdict: Cell
    effects: dict[str, Grid]
    extra: dict[str, Grid]
    verdicts: Grid


def claim_page(claim: Claim, known: Collection[str]) -> ClaimPage:
    """A claim as tables whose cells name what they come from; ``known`` are the sources that there are."""

    def linked(text: str, sources: Iterable[str], about: str, strong: bool = False) -> Cell:
        there = " ".join(dict.fromkeys(name for name in sources if name in known))
        return Cell(text, sources=there, about=about, strong=strong)

    def cell(column: str, value: str | Finding | Reading, row: Row) -> Cell:
        if isinstance(value, Finding):
            return linked(effect_text(value), value.sources, f"{claim.id}, {value.task}: {column}")
        if isinstance(value, Reading):
            return linked(verdict_text(value), value.sources, f"{claim.id}, {value.name}", value.decides)
        if column in SHARED:
            behind = [name for one in row.values() if isinstance(one, Finding) for name in one.sources]
            return linked(value, behind, f"{claim.id}, {row['task']}: {column}")
        return Cell(value)

    def grid(rows: Sequence[Row]) -> Grid:
        heads = list(rows[0]) if rows else []
        return Grid(heads, [[cell(column, value, row) for column, value in row.items()] for row in rows])

    asides = dict.fromkeys(reading.aside for reading in claim.readings)
    deciding = [name for reading in claim.deciding for name in reading.sources]
    return ClaimPage(
        claim=claim,
        verdict=linked(claim.verdict, deciding, f"{claim.id} {claim.title}: what decides", strong=True),
        effects={
            aside: grid(effect_rows(claim, [reading for reading in claim.readings if reading.aside == aside]))
            for aside in asides
        },
        extra={heading: extra_grid(frame, known) for heading, frame in claim.extra.items() if len(frame)},
        verdicts=grid(verdict_rows(claim)),
    )


def extra_grid(frame: pd.DataFrame, known: Collection[str]) -> Grid:
    """A further table of a claim, whose rows are of a task and a method."""
    return make_grid(
        frame,
        ["task", "method"],
        lambda row, _: [name for name in [of_runs(row["task"], row["method"])] if name in known],
    )
