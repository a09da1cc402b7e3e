"""C3: training 2-3x faster than methods that project with a QP."""

from __future__ import annotations

from collections.abc import Callable

from benchmark.claims.evidence import FLOW, LEAST_SHARE, PAPER_TASKS, gap, short_of, solver_of, steps_of
from benchmark.claims.rule import Claim, Finding, Reading, decide
from benchmark.selection import CompleteRun, Selection
from benchmark.statistics import ratio_interval
from benchmark.summaries import REFERENCE, different_machines, total, training

THRESHOLD = 2.0
# The same projection in closed form.
EXACT = "ddpg-projection"
WITHOUT, WITH = "without the flow's training", "with the flow's training"

Clock = Callable[[CompleteRun], float]


def judge_wallclock(found: Selection) -> Claim:
    """The claim, by wall-clock of whole trainings without evaluation."""
    readings: list[Reading] = []
    for baseline in (REFERENCE, EXACT):
        bare = tuple(_finding(found, task, baseline, training) for task in PAPER_TASKS)
        whole = tuple(_finding(found, without.task, baseline, total, without) for without in bare)
        for column, findings in ((WITHOUT, bare), (WITH, whole)):
            readings.append(
                Reading(
                    name=f"{baseline}, {column}",
                    keys={"baseline": baseline},
                    column=column,
                    findings=findings,
                    up_to=False,
                    decides=baseline == REFERENCE,
                )
            )
    used = [run for task in PAPER_TASKS for method in (FLOW, REFERENCE, EXACT) for run in found.runs(task, method)]
    machines = "; ".join(sorted({run.machine for run in used})) or "none yet"
    notes = (
        f"Ratio: the baseline's wall-clock over that of {FLOW}, so that 2 is twice as fast. {REFERENCE} calls cvxpy "
        f"with CLARABEL at every step, {EXACT} has the same projection in closed form.",
        f"Machine: {machines}. Runs are made side by side, a process each.",
    )
    return Claim(
        id="C3",
        title="Training time",
        said="Training is 2 to 3 times faster than with methods that project by a QP.",
        source="abstract, summary",
        readings=tuple(readings),
        notes=notes,
    )


def _finding(found: Selection, task: str, baseline: str, clock: Clock, without: Finding | None = None) -> Finding:
    """One ratio; ``without`` is the one without the flow's training, for one with it."""
    above, below = found.runs(task, baseline), found.runs(task, FLOW)
    effect = ratio_interval([clock(run) for run in above], [clock(run) for run in below])
    budget = steps_of(found, task)
    note = different_machines([*above, *below])
    unusable = gap(found, task, FLOW, baseline) or ("times of different machines" if note else "")
    no_contradiction = unusable
    # A fixed cost weighs more in a short run, but cannot make a flow faster that is too slow without it.
    if without is not None and without.outcome != "contradicted":
        no_contradiction = unusable or short_of(budget, 1.0)
    outcome, why = decide(effect, THRESHOLD, unusable or short_of(budget, LEAST_SHARE), no_contradiction)
    solver = solver_of(found, task, baseline)
    return Finding(task, effect, THRESHOLD, outcome, why, len(found.seeds), "ratio", budget, solver, note)
