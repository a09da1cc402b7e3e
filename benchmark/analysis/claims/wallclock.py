"""C3: training 2-3x faster than methods that project with a QP."""

from __future__ import annotations

from benchmark.analysis.claims.evidence import FLOW, LEAST_SHARE, PAPER_TASKS, short_of, updates_of
from benchmark.analysis.claims.rule import Claim, Finding, Reading, decide
from benchmark.analysis.statistics import point, ratio_interval
from benchmark.analysis.summaries import REFERENCE
from benchmark.analysis.timing import EXACT, IDLE_CORES, busy, same_machine, step_seconds, training_seconds
from benchmark.records.machine import machine_of
from benchmark.records.references import of_flow, of_timing
from benchmark.records.selection import Selection

THRESHOLD = 2.0
WITHOUT, WITH = "without the flow's training", "with the flow's training"
LEAST_ROUNDS = 2
NOT_TIMED, NO_FLOW = "not timed", "no flow was trained"


def evaluate_wallclock(found: Selection) -> Claim:
    """The claim, by what a training step costs, measured serially."""
    readings = tuple(
        Reading(
            name=f"{baseline}, {column}",
            keys={"baseline": baseline},
            column=column,
            findings=tuple(_finding(found, task, baseline, column) for task in PAPER_TASKS),
            up_to=False,
            decides=baseline == REFERENCE,
        )
        for baseline in (REFERENCE, EXACT)
        for column in (WITHOUT, WITH)
    )
    origins = [timing.provenance for timing in found.timing.values() if timing.provenance]
    machines = "; ".join(sorted({machine_of(origin) for origin in origins})) or "none yet"
    notes = (
        f"Ratio: what a training step of the baseline costs over that of {FLOW}, so that 2 is twice as fast. "
        f"{REFERENCE} calls cvxpy with CLARABEL at every step, {EXACT} has the same projection in closed form. With "
        "the flow's training: the published number of steps at that cost, and the flow's samples and training.",
        f"Machine: {machines}. Measured by acrl timing, method after method, in turns; n of N counts rounds.",
    )
    return Claim(
        id="C3",
        title="Training time",
        said="Training is 2 to 3 times faster than with methods that project by a QP.",
        source="abstract, summary",
        readings=readings,
        notes=notes,
    )


def _finding(found: Selection, task: str, baseline: str, column: str) -> Finding:
    timing = found.timing.get(task)
    unusable = _gap(found, task, baseline, column)
    if timing is None or unusable in (NOT_TIMED, NO_FLOW):
        return Finding(task, point(None, 0), THRESHOLD, "open", unusable, 0, "ratio")
    if column == WITHOUT:
        above, below = (step_seconds(timing.rounds[method]) for method in (baseline, FLOW))
    else:
        above, below = (training_seconds(found, task, method) or [] for method in (baseline, FLOW))
    # A flow that is trained less costs less.
    updates = updates_of(found, task, FLOW) if column == WITH else None
    effect = ratio_interval(above, below)
    outcome, why = decide(effect, THRESHOLD, unusable or short_of(updates, LEAST_SHARE), unusable)
    solver, sources = timing.solvers[baseline], (of_timing(task), *([of_flow(task, FLOW)] if column == WITH else []))
    return Finding(task, effect, THRESHOLD, outcome, why, len(below), "ratio", updates, solver, sources=sources)


def _gap(found: Selection, task: str, baseline: str, column: str) -> str:
    """Why the times decide nothing; empty if they can."""
    timing = found.timing.get(task)
    if timing is None or not (timing.rounds.get(FLOW) and timing.rounds.get(baseline)):
        return NOT_TIMED
    if column == WITH and (task, FLOW) not in found.flows:
        return NO_FLOW
    if column == WITH and not same_machine(found, task, FLOW):
        return "the flow was trained on another machine"
    if min(len(timing.rounds[method]) for method in (FLOW, baseline)) < LEAST_ROUNDS:
        return "fewer than two rounds"
    return "the machine was busy with other work" if busy(timing, [FLOW, baseline]) > IDLE_CORES else ""
