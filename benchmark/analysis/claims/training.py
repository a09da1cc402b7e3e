"""C3 and C4: the cost of training, and the returns it reaches."""

from __future__ import annotations

import math

from benchmark.analysis.claims import evidence
from benchmark.analysis.claims.evidence import BASELINES, FLOW, LEAST_SHARE, PAPER_TASKS, gap
from benchmark.analysis.claims.rule import Claim, Finding, Reading, decide
from benchmark.analysis.statistics import difference_interval, point, ratio_interval
from benchmark.analysis.summaries import REFERENCE
from benchmark.analysis.timing import ELSEWHERE, EXACT, IDLE_CORES, busy, same_machine, step_seconds, training_seconds
from benchmark.records.provenance import machine_of
from benchmark.records.reports import of_flow, of_runs, of_timing
from benchmark.records.selection import CompleteRun, Selection

THRESHOLD = 2.0
WITHOUT, WITH = "without the flow's training", "with the flow's training"
LEAST_ROUNDS = 2
NOT_TIMED, NO_FLOW = "not timed", "no flow was trained"


def evaluate_wallclock(found: Selection) -> Claim:
    """The claim, judged by the cost of a training step, with methods timed one after the other."""
    readings = tuple(
        Reading(
            name=f"{baseline}, {column}",
            keys={"baseline": baseline},
            column=column,
            findings=tuple(_cost_finding(found, task, baseline, column) for task in PAPER_TASKS),
            up_to=False,
            decides=baseline == REFERENCE,
        )
        for baseline in (REFERENCE, EXACT)
        for column in (WITHOUT, WITH)
    )
    origins = [timing.provenance for timing in found.timing.values() if timing.provenance]
    machines = "; ".join(sorted({machine_of(origin) for origin in origins})) or "none yet"
    notes = (
        f"Ratios are the time of a training step of the baseline over that of {FLOW}: at 2, {FLOW} is twice as fast. "
        f"{REFERENCE} calls cvxpy with CLARABEL at every step; {EXACT} has the same projection in closed form. With "
        "the flow's training, times are those of the published number of steps plus the flow's samples and training. "
        f"If {ELSEWHERE}, its seconds are left out. They would only add, so the ratio is then an upper bound, which "
        "can contradict the claim and not support it.",
        f"Machine: {machines}. Measured by acrl timing, with methods taking turns; n of N counts rounds. A flow is "
        "trained once, by acrl flows, so its seconds have no interval.",
    )
    return Claim(
        id="C3",
        title="Training time",
        said="Training is 2 to 3 times faster than with methods that project by a QP.",
        source="abstract, summary",
        readings=readings,
        notes=notes,
    )


def _cost_finding(found: Selection, task: str, baseline: str, column: str) -> Finding:
    timing = found.timing.get(task)
    unusable = _gap(found, task, baseline, column)
    if timing is None or unusable in (NOT_TIMED, NO_FLOW):
        return Finding(task, point(None, 0), THRESHOLD, "open", unusable, 0, "ratio")
    # Seconds of another machine do not add to those of this one, but a flow never saves time.
    elsewhere = column == WITH and not same_machine(found, task, FLOW)
    if column == WITHOUT or elsewhere:
        above, below = (step_seconds(timing.rounds[method]) for method in (baseline, FLOW))
    else:
        above, below = (training_seconds(found, task, method) or [] for method in (baseline, FLOW))
    # A flow with less training costs less.
    updates = evidence.updates_of(found, task, FLOW) if column == WITH else None
    effect = ratio_interval(above, below)
    no_support = ELSEWHERE if elsewhere else evidence.short_of(updates, LEAST_SHARE)
    outcome, why = decide(effect, THRESHOLD, unusable or no_support, unusable)
    solver, sources = timing.solvers[baseline], (of_timing(task), *([of_flow(task, FLOW)] if column == WITH else []))
    return Finding(task, effect, THRESHOLD, outcome, why, len(below), "ratio", updates, solver, sources=sources)


def _gap(found: Selection, task: str, baseline: str, column: str) -> str:
    """Why the times decide nothing; empty if they can."""
    timing = found.timing.get(task)
    if timing is None or not (timing.rounds.get(FLOW) and timing.rounds.get(baseline)):
        return NOT_TIMED
    if column == WITH and (task, FLOW) not in found.flows:
        return NO_FLOW
    if min(len(timing.rounds[method]) for method in (FLOW, baseline)) < LEAST_ROUNDS:
        return "fewer than two rounds"
    return "the machine was busy with other work" if busy(timing, [FLOW, baseline]) > IDLE_CORES else ""


# "As good" means below the baseline by at most this share of the task's rise in return.
MARGIN = 0.05
POLICIES = ("final", "best")


def evaluate_returns(found: Selection) -> Claim:
    """The claim, judged by final and best policies; it needs the published budget."""
    readings = [
        Reading(
            name=f"{policy} policy against {baseline}",
            keys={"baseline": baseline},
            column=f"{policy} return, difference",
            findings=tuple(_return_finding(found, task, baseline, policy) for task in PAPER_TASKS),
            up_to=False,
            decides=True,
        )
        for baseline in BASELINES
        for policy in POLICIES
    ]
    notes = (
        f"Differences are the mean return of {FLOW} minus that of the baseline. The threshold is minus {MARGIN:.0%} of "
        "the rise of the best compared method, from the mean first evaluation of all runs to its mean final return.",
        "Returns after fewer steps than published show who learns fast, not who learns well, and decide nothing.",
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
    """The rise in return of the best compared method on a task; None without runs."""
    by_method = [runs for method in (FLOW, *BASELINES) if (runs := found.runs(task, method))]
    first = [run.returns.evaluations[0].mean for runs in by_method for run in runs if run.returns.evaluations]
    if not first:
        return None
    return max(_mean([run.returns.final.mean for run in runs]) for runs in by_method) - _mean(first)


def _return_finding(found: Selection, task: str, baseline: str, policy: str) -> Finding:
    effect = difference_interval(_returns(found.runs(task, FLOW), policy), _returns(found.runs(task, baseline), policy))
    budget, scale = evidence.steps_of(found, task), rise(found, task)
    unusable = gap(found, task, FLOW, baseline) or evidence.short_of(budget, 1.0)
    if not unusable and (scale is None or scale <= 0):
        unusable = "no method improved, so there is no scale"
    threshold = -MARGIN * scale if scale is not None and scale > 0 else None
    outcome, why = decide(effect, threshold or 0.0, unusable, unusable)
    solver = evidence.solver_of(found, task, baseline)
    # The threshold depends on all compared methods.
    sources = tuple(of_runs(task, method) for method in (FLOW, *BASELINES))
    return Finding(task, effect, threshold, outcome, why, len(found.seeds), "return", budget, solver, sources=sources)


def _returns(runs: list[CompleteRun], policy: str) -> list[float]:
    return [run.returns.final.mean if policy == "final" else run.returns.best.mean for run in runs]


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
