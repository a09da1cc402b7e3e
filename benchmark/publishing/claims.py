"""The claims as a page for reading and a CSV with every comparison."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.claims import Claims
from benchmark.analysis.claims.evidence import LEAST_SEEDS
from benchmark.analysis.claims.rule import Claim, Finding, Outcome, Reading, open_reasons
from benchmark.publishing.tables.notes import caveats, describe
from benchmark.publishing.tables.rendering import DASH, DIGITS, Digits, bullets, digits_of_mean, like
from benchmark.records.files import write_text

LEGEND = (
    "Each cell is an effect with its 95% interval, compared with the threshold by the rule of "
    "[docs/claims.md](../../docs/claims.md): ✓ the interval lies on the claim's side, ✗ it lies on the other side, "
    "? open, · not counted. A dash means not measured. The last column says why cells are open; a larger budget "
    "only settles cells that are open for their budget. Readings in bold decide the verdict."
)


def write_claims(claims: Claims, folder: Path) -> list[Path]:
    """Write claims.md and claims.csv below ``folder`` (``results/<profile>``), and return their paths.

    The same results give the same bytes.

    Raises:
        UserError: If a file cannot be written.
    """
    numbers = table(claims).to_csv(index=False, float_format=DIGITS, lineterminator="\n")
    texts = {"claims.md": page(claims), "claims.csv": numbers}
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def table(claims: Claims) -> pd.DataFrame:
    """Every comparison as a row, with the verdicts that it is part of."""
    rows: list[dict[str, Any]] = []
    for claim in claims.all:
        for reading in claim.readings:
            shared: dict[str, Any] = {
                "profile": claims.found.profile,
                "claim": claim.id,
                "verdict": claim.verdict,
                "reading": reading.name,
                "decides": reading.decides,
                "reading_verdict": reading.verdict if reading.counts else "",
                "row": ", ".join(reading.keys.values()),
                "column": reading.column,
                "tolerance": reading.tolerance,
            }
            rows += [shared | numbers(finding) for finding in reading.findings]
            if not reading.findings:
                rows.append(shared | {"why": reading.missing})
    return pd.DataFrame(rows).astype({"n": "Int64", "N": "Int64", "budget": "Int64", "published": "Int64"})


def numbers(finding: Finding) -> dict[str, Any]:
    """The CSV's columns for one comparison."""
    effect, budget = finding.effect, finding.budget
    return {
        "task": finding.task,
        "solver": finding.solver,
        "budget": budget.done if budget else None,
        "published": budget.published if budget else None,
        "budget_unit": budget.unit if budget else "",
        "n": effect.n,
        "N": finding.wanted,
        "unit": finding.unit,
        "effect": effect.mean,
        "low": effect.low,
        "high": effect.high,
        "interval": effect.method,
        "threshold": finding.threshold,
        "outcome": finding.outcome,
        "why": finding.why,
        "note": finding.note,
    }


def page(claims: Claims) -> str:
    """The Markdown page: all verdicts, then one section per claim."""
    found = claims.found
    summary = pd.DataFrame(
        [
            {
                "claim": f"{claim.id} {claim.title}",
                "the paper says": f"{claim.said} ({claim.source})",
                "verdict": f"**{claim.verdict}**",
                "why": claim.reason,
            }
            for claim in claims.all
        ]
    )
    commits = sorted({(run.record.provenance.commit or "unknown")[:12] for run in found.everything()})
    facts = [f"Runs made at commit {', '.join(commits) or 'unknown: no complete run'}.", *caveats(found)]
    if len(found.seeds) < LEAST_SEEDS:
        facts.append("With fewer than two seeds, nothing measured over seeds can be decided.")
    blocks = [
        f"# FlowPG's claims by profile {found.profile}",
        describe(found),
        "Generated from the result files by `acrl tables`: change nothing here by hand.",
        bullets(facts),
        markdown(summary),
        LEGEND,
        *(section(claim) for claim in claims.all),
    ]
    return "\n\n".join(blocks) + "\n"


def section(claim: Claim) -> str:
    """A claim: what the paper says, what was measured, how the rule applies."""
    blocks = [
        f"## {claim.id} {claim.title}: {claim.verdict}",
        f"The paper says: {claim.said} ({claim.source})",
        "### Measured",
        bullets(list(claim.notes)),
    ]
    for aside in dict.fromkeys(reading.aside for reading in claim.readings):
        blocks += [f"### {aside}"] if aside else []
        measured = text_of(effect_rows(claim, [reading for reading in claim.readings if reading.aside == aside]))
        blocks += [markdown(measured)] if len(measured) else ["Nothing yet."]
    for heading, frame in claim.extra.items():
        blocks += [f"### {heading}", markdown(frame)] if len(frame) else []
    blocks += ["### The rule applied", markdown(text_of(verdict_rows(claim)))]
    return "\n\n".join(blocks)


def text_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Rows as text, with the verdicts of deciding readings in bold."""

    def text(cell: str | Finding | Reading) -> str:
        if isinstance(cell, Finding):
            return effect_text(cell)
        if isinstance(cell, Reading):
            verdict = f"**{cell.verdict}**" if cell.decides else cell.verdict
            return verdict_text(cell).replace(cell.verdict, verdict, 1)
        return cell

    return pd.DataFrame(rows).map(text)


def markdown(frame: pd.DataFrame) -> str:
    """A table as Markdown, with bars escaped because they end a cell."""
    return frame.map(lambda text: str(text).replace("|", "\\|")).to_markdown(index=False, disable_numparse=True)


MARKS: dict[Outcome, str] = {"supported": "✓", "contradicted": "✗", "open": "?", "not counted": "·"}
# What the cells of one row of effects have in common.
SHARED = WANTED, BUDGET, LIMIT = "n of N", "budget", "threshold"
WHY = "why open"

# A cell's text, or the value that it is made from.
Row = dict[str, str | Finding | Reading]


def effect_rows(claim: Claim, readings: Sequence[Reading]) -> list[Row]:
    """Rows of effects: one per task and keys with a measurement, with one column per kind of reading.

    The last column says why cells are open.
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
    """Why the cells of a row are open, by column if the reasons differ."""
    columns: dict[str, list[str]] = {}
    for column, finding in cells.items():
        if finding.outcome == "open":
            columns.setdefault(finding.why, []).append(column)
    return "; ".join(f"{', '.join(names)}: {why}" if len(columns) > 1 else why for why, names in columns.items())


def unique_keys(readings: Sequence[Reading]) -> list[dict[str, str]]:
    """The distinct keys of readings, in order."""
    found: list[dict[str, str]] = []
    for reading in readings:
        found += [] if reading.keys in found else [reading.keys]
    return found


def shared_text(findings: list[Finding], own_threshold: bool) -> dict[str, str]:
    """What the cells of one row share: number of runs, budget, and the threshold if it differs between rows."""
    most = max(findings, key=lambda finding: finding.effect.n)
    row = {WANTED: f"{most.effect.n}/{most.wanted}"}
    if most.budget:
        row[BUDGET] = f"{most.budget.done:,} of {most.budget.published:,} {most.budget.unit}"
    if own_threshold:
        row[LIMIT] = DASH if most.threshold is None else like(most.threshold, whole=False)(most.threshold)
    return row


def effect_text(finding: Finding, digits: Digits = digits_of_mean) -> str:
    """An effect with its interval and the mark of its outcome; notes are only in the CSV."""
    if finding.effect.mean is None and finding.outcome == "not counted":
        return DASH
    return f"{effect_number(finding, digits)} {MARKS[finding.outcome]}"


def effect_number(finding: Finding, digits: Digits = digits_of_mean) -> str:
    """An effect with its interval."""
    effect = finding.effect
    if effect.mean is None:
        return DASH
    finite = next((end for end in (effect.mean, effect.low) if end is not None and math.isfinite(end)), 1.0)
    low, high = (finite if end is None else end for end in (effect.low, effect.high))
    number = digits(finite, low, high, finding.unit == "share")
    texts = [
        "∞" if end == math.inf else number(end) for end in (effect.mean, effect.low, effect.high) if end is not None
    ]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]" if len(texts) == 3 else texts[0]


def verdict_rows(claim: Claim) -> list[Row]:
    """The verdict of every reading that counts; the last column says why readings are open."""
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
    """The rows, without their last column if nothing is open."""
    if any(row[WHY] for row in rows):
        return rows
    return [{name: cell for name, cell in row.items() if name != WHY} for row in rows]


def verdict_text(reading: Reading) -> str:
    """The verdict of one reading, with the number of comparisons by outcome and the tasks that support it."""
    counted = [f"{len(reading.tasks(kind))} {mark}" for kind, mark in MARKS.items() if reading.tasks(kind)]
    if reading.up_to and reading.tasks("supported"):
        counted[0] += f" {' '.join(reading.tasks('supported'))}"
    return f"{reading.verdict} ({', '.join(counted)})" if counted else reading.verdict
