"""C4: return as good as or better than the baselines."""

from __future__ import annotations

import math

from benchmark.analysis.claims.effects import difference
from benchmark.analysis.claims.evidence import BASELINES, FLOW, PAPER_TASKS, gap, short_of, solver_of, steps_of
from benchmark.analysis.claims.rule import Claim, Finding, Reading, decide
from benchmark.records.references import of_runs
from benchmark.records.selection import CompleteRun, Selection

# "As good" is at most this share of a task's rise in return below the baseline.
MARGIN = 0.05
POLICIES = ("final", "best")


def evaluate_returns(found: Selection) -> Claim:
    """The claim, by final and best policies; it needs the published budget."""
    readings = [
        Reading(
            name=f"{policy} policy against {baseline}",
            keys={"baseline": baseline},
            column=f"{policy} return, difference",
            findings=tuple(_finding(found, task, baseline, policy) for task in PAPER_TASKS),
            up_to=False,
            decides=True,
        )
        for baseline in BASELINES
        for policy in POLICIES
    ]
    notes = (
        f"Difference: the mean return of {FLOW} less the baseline's. Threshold: minus {MARGIN:.0%} of how far the best "
        "of the compared methods rose, from the mean first evaluation of all runs to its mean final return.",
        "Returns after fewer steps than published say who learns fast, not who learns well, and decide nothing.",
    )
    return Claim(
        id="C4",
        title="Return",
        said="The return is as good as that of the baselines, or better.",
        source="abstract",
        readings=tuple(readings),
        notes=notes,
    )


def rise(found: Selection, task: str) -> float | None:
    """How far the best of the compared methods rose in return on a task; None where there is no run to tell."""
    by_method = [runs for method in (FLOW, *BASELINES) if (runs := found.runs(task, method))]
    first = [run.returns.evaluations[0].mean for runs in by_method for run in runs if run.returns.evaluations]
    if not first:
        return None
    return max(_mean([run.returns.final.mean for run in runs]) for runs in by_method) - _mean(first)


def _finding(found: Selection, task: str, baseline: str, policy: str) -> Finding:
    effect = difference(_returns(found.runs(task, FLOW), policy), _returns(found.runs(task, baseline), policy))
    budget, scale = steps_of(found, task), rise(found, task)
    unusable = gap(found, task, FLOW, baseline) or short_of(budget, 1.0)
    if not unusable and (scale is None or scale <= 0):
        unusable = "no method rose, so that there is no scale"
    threshold = -MARGIN * scale if scale is not None and scale > 0 else None
    outcome, why = decide(effect, threshold or 0.0, unusable, unusable)
    solver = solver_of(found, task, baseline)
    # The threshold is of all methods that are compared.
    sources = tuple(of_runs(task, method) for method in (FLOW, *BASELINES))
    return Finding(task, effect, threshold, outcome, why, len(found.seeds), "return", budget, solver, sources=sources)


def _returns(runs: list[CompleteRun], policy: str) -> list[float]:
    return [run.returns.final.mean if policy == "final" else run.returns.best.mean for run in runs]


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
