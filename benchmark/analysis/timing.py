"""The cost of a training step, which is the evidence for claims on wall-clock."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from benchmark.analysis.statistics import Estimate, mean_interval, point, ratio_interval
from benchmark.analysis.summaries import NOT_NEGATIVE, REFERENCE, Cell, make_cell, make_frame
from benchmark.records.provenance import one_machine
from benchmark.records.reports import TimedRound, TimingReport
from benchmark.records.selection import Selection
from envs.registry import make_task

# The same projection as the reference's in closed form.
EXACT = "ddpg-projection"
STEP_PARTS = ("act", "project", "env", "update", "other")
# Other load below this many cores does not affect the times of a process on one core.
IDLE_CORES = 0.1
ELSEWHERE = "the flow was trained on another or an unknown machine"


def step_seconds(rounds: Iterable[TimedRound]) -> list[float]:
    """Seconds of a training step in each round."""
    return [one.step for one in rounds]


def training_seconds(found: Selection, task: str, method: str) -> list[float] | None:
    """Seconds of the published number of steps plus those of the method's flow, in each round.

    None if the method was not timed, or its flow has no report.
    """
    report, timing = found.flows.get((task, method)), found.timing.get(task)
    if timing is None or not timing.rounds.get(method) or (method in timing.flows and report is None):
        return None
    flow = report.seconds if report else 0.0
    return [seconds * make_task(task).steps + flow for seconds in step_seconds(timing.rounds[method])]


def same_machine(found: Selection, task: str, method: str) -> bool:
    """Whether a method's flow, if it has a report, is known to be from the machine that the task was timed on."""
    timing, report = found.timing[task].provenance, found.flows.get((task, method))
    flow = report.provenance if report else None
    return report is None or (timing is not None and flow is not None and one_machine([timing, flow]))


def busy(timing: TimingReport, methods: Iterable[str]) -> float:
    """The largest number of cores kept busy by other work during a round of these methods."""
    return max((one.busy_cores for method in methods for one in timing.rounds.get(method, [])), default=0.0)


def timing_frame(found: Selection) -> pd.DataFrame:
    """Milliseconds of a training step by part, seconds of a whole training, and ratios to the reference."""
    cells = [
        cell | {"task": task, "method": method, "N": len(next(iter(timing.rounds.values()))), "steps": timing.steps}
        for task, timing in found.timing.items()
        for method in found.methods
        for cell in _cells(found, task, method)
    ]
    frame = make_frame(("task", "method"), [cell | {"profile": found.profile} for cell in cells])
    return frame.drop(columns=["seeds"])


def _cells(found: Selection, task: str, method: str) -> Iterable[Cell]:
    timing = found.timing[task]
    rounds, reference, exact = (timing.rounds.get(name, []) for name in (method, REFERENCE, EXACT))
    note = _busy_note(timing, method)
    for part in STEP_PARTS:
        spent = [1000 * getattr(one, part) for one in rounds]
        yield make_cell(part, "milliseconds", mean_interval(spent, NOT_NEGATIVE), note=note)
    step = step_seconds(rounds)
    yield make_cell("step", "milliseconds", mean_interval([1000 * one for one in step], NOT_NEGATIVE), note=note)
    # A ratio is as reliable as the worse of its two sides.
    note = _busy_note(timing, method, EXACT)
    yield make_cell("step to exact", "ratio", _ratio(method, step, step_seconds(exact), EXACT), note=note)
    own, others = ([one.update for one in side] for side in (rounds, exact))
    yield make_cell("update to exact", "ratio", _ratio(method, own, others, EXACT), note=note)
    note = _busy_note(timing, method, REFERENCE)
    yield make_cell("step ratio", "ratio", _ratio(method, step, step_seconds(reference), REFERENCE), note=note)
    whole, whole_reference = (training_seconds(found, task, name) or [] for name in (method, REFERENCE))
    if whole and not same_machine(found, task, method):
        note = "; ".join([*([note] if note else []), ELSEWHERE])
    yield make_cell("training", "seconds", mean_interval(whole, NOT_NEGATIVE), note=note)
    yield make_cell("training ratio", "ratio", _ratio(method, whole, whole_reference, REFERENCE), note=note)


def _busy_note(timing: TimingReport, *methods: str) -> str:
    """That other work ran beside these methods, if all of them were timed."""
    most = busy(timing, methods) if timing.rounds.keys() >= set(methods) else 0.0
    return f"up to {most:.2f} cores were busy with other work" if most > IDLE_CORES else ""


def _ratio(method: str, above: list[float], below: list[float], reference: str) -> Estimate:
    if method == reference:
        return point(1.0 if above else None, len(above), "none: the reference itself")
    return ratio_interval(above, below)
