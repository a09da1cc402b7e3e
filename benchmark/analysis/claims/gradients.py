"""C6: the gradient that reaches an actor through its action head."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pandas as pd

from benchmark.analysis.claims.evidence import FLOW, LEAST_SEEDS, estimate_of, not_made, read_experiment
from benchmark.analysis.claims.rule import Claim, Finding, Outcome, Reading, decide
from benchmark.analysis.statistics import Estimate
from benchmark.records.reports import of_experiment
from benchmark.records.selection import Selection

EXPERIMENT = "c6"
# Their actors learn through the exact projection.
LAYERS = ("ddpg-projection-layer", "dopt")
LEAST_TASKS = 2
# Share of states: the flow may lose at most this, a projection has to lose at least this.
FEW = 0.01
LOST = "lost share, along training"
COLUMNS = {
    LOST: ("is lost [% of states]", "share"),
    "lost share before tanh, along training": ("is lost before the tanh [% of states]", "share"),
    "median share passed": ("passes, median at the last step", "ratio"),
}
KEPT = "is kept [% of states]"


def evaluate_gradients(found: Selection, folder: Path) -> Claim:
    """The claim, judged by the share of states where the gradient of the critic is lost in the head."""
    frame = read_experiment(folder, EXPERIMENT, ["task", "method"])
    wanted = len(found.seeds)
    missing = not_made(EXPERIMENT, found.profile) if frame is None else ""
    numbers = pd.DataFrame(columns=["task", "method", "quantity", "value"]) if frame is None else frame
    methods = list(dict.fromkeys([FLOW, *LAYERS, *numbers["method"]]))
    readings = [_reading(f"states where {FLOW} keeps it", FLOW, KEPT, _kept(numbers, wanted), True, missing)]
    for method in methods:
        for quantity, (column, unit) in COLUMNS.items():
            decides = method in LAYERS and quantity == LOST
            findings = _lost(numbers, method, wanted) if decides else _shown(numbers, method, quantity, unit, wanted)
            name = f"states where {method} loses it" if decides else f"gradient of {method}, {quantity}"
            readings.append(_reading(name, method, column, findings, decides, missing))
    notes = (
        f"{FLOW} keeps the gradient if it is lost at no more than {FEW:.0%} of the states, and a projection loses it "
        f"if it is lost at {FEW:.0%} or more. A saturated tanh stops the gradient of every head that has one, so what "
        f"is lost before the tanh decides nothing. See experiments/{EXPERIMENT}.md for what lost means.",
    )
    return Claim(
        id="C6",
        title="No zero gradient",
        said="The policy gradient is not lost, as it is in a projection.",
        source="section 3.3",
        readings=tuple(readings),
        notes=notes,
    )


def _reading(
    name: str, method: str, column: str, findings: tuple[Finding, ...], decides: bool, missing: str
) -> Reading:
    return Reading(name, {"method": method}, column, findings, up_to=False, decides=decides, missing=missing)


def _kept(numbers: pd.DataFrame, wanted: int) -> tuple[Finding, ...]:
    """Whether the flow keeps the gradient at nearly all states, on each task."""
    return tuple(
        _judged(task, _complement(share), 1 - FEW, numbers, wanted) for task, share in _estimates(numbers, FLOW, LOST)
    )


def _lost(numbers: pd.DataFrame, method: str, wanted: int) -> tuple[Finding, ...]:
    """Whether a projection loses the gradient at some states, on each task."""
    return tuple(_judged(task, share, FEW, numbers, wanted) for task, share in _estimates(numbers, method, LOST))


def _judged(task: str, effect: Estimate, threshold: float, numbers: pd.DataFrame, wanted: int) -> Finding:
    outcome: Outcome = "open"
    if effect.mean is None:
        why = "not measured"
    elif effect.n < LEAST_SEEDS:
        why = "fewer than two seeds"
    elif numbers["task"].nunique() < LEAST_TASKS:
        why = "measured on one task"
    else:
        # Seeds that are all equal, for example 0, have no interval and agree.
        low, high = effect.band
        outcome, why = decide(dataclasses.replace(effect, low=low, high=high), threshold)
    return Finding(task, effect, threshold, outcome, why, wanted, "share", sources=(of_experiment(EXPERIMENT),))


def _shown(numbers: pd.DataFrame, method: str, quantity: str, unit: str, wanted: int) -> tuple[Finding, ...]:
    sources = (of_experiment(EXPERIMENT),)
    return tuple(
        Finding(task, number, None, "not counted", "", wanted, unit, sources=sources)
        for task, number in _estimates(numbers, method, quantity)
    )


def _estimates(numbers: pd.DataFrame, method: str, quantity: str) -> list[tuple[str, Estimate]]:
    """A quantity of one method on each task, at the last step."""
    rows = numbers[numbers["method"] == method]
    if "step" in rows:
        rows = rows[rows["step"] == rows.groupby("task")["step"].transform("max")]
    tasks = [str(task) for task in dict.fromkeys(numbers["task"])]
    return [(task, estimate_of(rows[rows["task"] == task], quantity)) for task in tasks]


def _complement(share: Estimate) -> Estimate:
    """One minus the share."""
    mean, low, high = (None if end is None else 1 - end for end in (share.mean, share.high, share.low))
    return Estimate(mean, low, high, share.n, share.method)
