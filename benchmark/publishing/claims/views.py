"""What of a claim is shown: rows of measured effects and of verdicts, on the page and in the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from benchmark.analysis.claims.rule import Claim, Finding, Outcome, Reading, open_reasons
from benchmark.publishing.tables.rendering import DASH, like, percent

MARKS: dict[Outcome, str] = {"supported": "✓", "contradicted": "✗", "open": "?", "not counted": "·"}
# What the cells of one row of effects have in common.
SHARED = WANTED, BUDGET, LIMIT = "n of N", "budget", "threshold"
WHY = "open, since"

# What a column shows: text, or what a cell is the text of.
Row = dict[str, str | Finding | Reading]


def effect_rows(claim: Claim, readings: Sequence[Reading]) -> list[Row]:
    """A row for each task and row of readings in which something was measured, a column for each kind of reading.

    Where cells are open the last column says why.
    """
    tasks = list(dict.fromkeys(finding.task for reading in readings for finding in reading.findings))
    columns = list(dict.fromkeys(reading.column for reading in readings))
    thresholds = {finding.threshold for reading in claim.deciding for finding in reading.findings}
    rows: list[Row] = []
    for task in tasks:
        for keys in unique_keys(readings):
            cells = {
                reading.column: finding
                for reading in readings
                for finding in reading.findings
                if reading.keys == keys and finding.task == task
            }
            if all(finding.effect.mean is None for finding in cells.values()):
                continue
            row: Row = {"task": task, **keys, **shared_text(list(cells.values()), len(thresholds) > 1)}
            row |= {column: cells.get(column, DASH) for column in columns}
            rows.append(row | {WHY: why_open(cells)})
    return with_reasons(rows)


def why_open(cells: Mapping[str, Finding]) -> str:
    """Why cells of a row are open, and which ones where they have different reasons."""
    columns: dict[str, list[str]] = {}
    for column, finding in cells.items():
        if finding.outcome == "open":
            columns.setdefault(finding.why, []).append(column)
    if len(columns) == 1:
        return next(iter(columns))
    return "; ".join(f"{', '.join(names)}: {why}" for why, names in columns.items())


def unique_keys(readings: Sequence[Reading]) -> list[dict[str, str]]:
    """The rows that readings are in, in their order."""
    found: list[dict[str, str]] = []
    for reading in readings:
        found += [] if reading.keys in found else [reading.keys]
    return found


def shared_text(findings: list[Finding], own_threshold: bool) -> dict[str, str]:
    """What the cells of one row have in common: n of N, budget, and a threshold that differs from row to row."""
    most = max(findings, key=lambda finding: finding.effect.n)
    row = {WANTED: f"{most.effect.n}/{most.wanted}"}
    if most.budget:
        row[BUDGET] = f"{most.budget.done:,} of {most.budget.published:,} {most.budget.unit}"
    if own_threshold:
        row[LIMIT] = DASH if most.threshold is None else like(most.threshold, whole=False)(most.threshold)
    return row


def effect_text(finding: Finding) -> str:
    """An effect with its interval and the mark of its outcome; a note is in the CSV."""
    effect = finding.effect
    if effect.mean is None:
        return DASH if finding.outcome == "not counted" else f"{DASH} {MARKS[finding.outcome]}"
    finite = next((end for end in (effect.mean, effect.low) if end is not None and math.isfinite(end)), 1.0)
    number = percent if finding.unit == "share" else like(finite, whole=False)
    texts = [
        "∞" if end == math.inf else number(end) for end in (effect.mean, effect.low, effect.high) if end is not None
    ]
    interval = f" [{texts[1]}, {texts[2]}]" if len(texts) == 3 else ""
    return f"{texts[0]}{interval} {MARKS[finding.outcome]}"


def verdict_rows(claim: Claim) -> list[Row]:
    """The verdict of every reading that counts, a row for each row of readings; the last column says what is open."""
    counting = [reading for reading in claim.readings if reading.counts]
    columns = list(dict.fromkeys(reading.column for reading in counting))
    rows: list[Row] = []
    for keys in unique_keys(counting):
        own = [reading for reading in counting if reading.keys == keys]
        cells = {reading.column: reading for reading in own}
        row: Row = {**keys, **{column: cells.get(column, DASH) for column in columns}}
        rows.append(row | {WHY: "; ".join(open_reasons(own))})
    return with_reasons(rows)


def with_reasons(rows: list[Row]) -> list[Row]:
    """The rows without their last column where nothing is open."""
    if any(row[WHY] for row in rows):
        return rows
    return [{name: cell for name, cell in row.items() if name != WHY} for row in rows]


def verdict_text(reading: Reading) -> str:
    """The verdict of one reading, with how many comparisons have which outcome and which speak for it."""
    counted = [f"{len(reading.tasks(kind))} {mark}" for kind, mark in MARKS.items() if reading.tasks(kind)]
    if reading.up_to and reading.tasks("supported"):
        counted[0] += f" {' '.join(reading.tasks('supported'))}"
    return f"{reading.verdict} ({', '.join(counted)})" if counted else reading.verdict
