"""C2: up to 10x fewer constraint violations than the baselines."""

from __future__ import annotations

import pandas as pd

from benchmark.analysis.claims.effects import Count, count_ratio
from benchmark.analysis.claims.evidence import (
    BASELINES,
    DECIDING_TOLERANCES,
    FLOW,
    LEAST_SHARE,
    PAPER_TASKS,
    gap,
    has_equality,
    short_of,
    solver_of,
    steps_of,
)
from benchmark.analysis.claims.rule import Claim, Finding, Outcome, Reading, decide
from benchmark.records.references import of_runs
from benchmark.records.results import TOLERANCES
from benchmark.records.selection import Selection

THRESHOLD = 10.0
BY_CONSTRUCTION = "a baseline that does not know of the equality misses it by construction at tolerance 0"


def evaluate_violations(found: Selection) -> Claim:
    """The claim, by what policies put out in training, before noise and repair."""
    readings = [
        Reading(
            name=f"against {baseline} at tolerance {tolerance:g}",
            keys={"baseline": baseline},
            column=f"ratio at {tolerance:g}",
            findings=tuple(_finding(found, task, baseline, tolerance) for task in PAPER_TASKS),
            up_to=True,
            decides=tolerance in DECIDING_TOLERANCES,
            tolerance=tolerance,
        )
        for baseline in BASELINES
        for tolerance in TOLERANCES
    ]
    notes = (
        f"Ratio: the baseline's violations over those of {FLOW}, as shares of the outputs judged. ∞: the flow had "
        "none, and the lower end is what can be said.",
        f"Shown but not counted (·): tasks with an equality, where {BY_CONSTRUCTION}.",
    )
    return Claim(
        id="C2",
        title="Violations",
        said="Up to 10x fewer constraint violations than the baselines.",
        source="abstract",
        readings=tuple(readings),
        notes=notes,
        extra={"Violating outputs of each seed": _counts_table(found)},
    )


def _finding(found: Selection, task: str, baseline: str, tolerance: float) -> Finding:
    effect = count_ratio(counts(found, task, baseline, tolerance), counts(found, task, FLOW, tolerance))
    budget, wanted = steps_of(found, task), len(found.seeds)
    solver, sources = solver_of(found, task, baseline), (of_runs(task, FLOW), of_runs(task, baseline))
    outcome: Outcome = "not counted"
    why, note = "", BY_CONSTRUCTION
    if not has_equality(task):
        unusable = gap(found, task, FLOW, baseline) or short_of(budget, LEAST_SHARE)
        outcome, why = decide(effect, THRESHOLD, unusable, unusable)
        note = ""
    return Finding(task, effect, THRESHOLD, outcome, why, wanted, "ratio", budget, solver, note, sources)


def counts(found: Selection, task: str, method: str, tolerance: float) -> list[Count]:
    """Outputs of a method's policies that violate beyond a tolerance, one count a seed."""
    judged = [run.violations.policy for run in found.runs(task, method)]
    return [Count(round(one.n * (1 - one.valid_share[f"{tolerance:g}"])), one.n) for one in judged if one.n]


def _counts_table(found: Selection) -> pd.DataFrame:
    rows = []
    for task in PAPER_TASKS:
        for method in (FLOW, *BASELINES):
            by_tolerance = {tolerance: counts(found, task, method, tolerance) for tolerance in TOLERANCES}
            if not by_tolerance[0.0]:
                continue
            row = {"task": task, "method": method, "judged": _listed([c.judged for c in by_tolerance[0.0]])}
            rows.append(
                row | {f"at {tol:g}": _listed([c.missed for c in seeds]) for tol, seeds in by_tolerance.items()}
            )
    return pd.DataFrame(rows)


def _listed(numbers: list[int]) -> str:
    return "; ".join(f"{number:,}" for number in numbers)
