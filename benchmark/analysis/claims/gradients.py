"""C6: no zero gradient."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.analysis.claims.evidence import FLOW, LEAST_SEEDS
from benchmark.analysis.claims.experiments import estimate_of, not_made, read_experiment
from benchmark.analysis.claims.rule import BOTH_SIDES, Claim, Finding, Outcome, Reading
from benchmark.analysis.statistics import Estimate
from benchmark.records.references import of_experiment
from benchmark.records.selection import Selection

EXPERIMENT = "c6"
LAYER = "ddpg-projection-layer"
LEAST_TASKS = 2
# Quantities of the experiment, the deciding one first, and their columns and units.
VANISHING = "vanishing share"
COLUMNS = {
    VANISHING: ("vanishes [% of states]", "share"),
    "vanishing share before tanh": ("vanishes before the tanh [% of states]", "share"),
    "relative norm": ("norm, relative to that of dQ/da", "ratio"),
}


def evaluate_gradients(found: Selection, folder: Path) -> Claim:
    """The claim, by the share of states where the policy gradient vanishes."""
    frame = read_experiment(folder, EXPERIMENT, ["task", "method"])
    methods = [FLOW] if frame is None else list(dict.fromkeys([FLOW, LAYER, *frame["method"]]))
    readings = [
        Reading(
            name=f"gradient of {method}, {quantity}",
            keys={"method": method},
            column=column,
            findings=() if frame is None else _findings(frame, method, quantity, unit, len(found.seeds)),
            up_to=False,
            decides=method == FLOW and quantity == VANISHING,
            missing=not_made(EXPERIMENT, found.profile) if frame is None else "",
        )
        for method in methods
        for quantity, (column, unit) in COLUMNS.items()
    ]
    notes = (
        f"Supported: {FLOW} has no such state in any seed and the interval of the {LAYER} is above zero. "
        f"Contradicted: the interval of {FLOW} is above zero. A saturated tanh stops the gradient of every method "
        f"alike, so before it nothing is decided. How the agents were trained is said in experiments/{EXPERIMENT}.md.",
    )
    return Claim(
        id="C6",
        title="No zero gradient",
        said="The policy gradient is not lost, as it is in a projection.",
        source="section 3.3",
        readings=tuple(readings),
        notes=notes,
    )


def _findings(frame: pd.DataFrame, method: str, quantity: str, unit: str, wanted: int) -> tuple[Finding, ...]:
    """The number of one method on each task; that of the flow is judged."""
    tasks = list(dict.fromkeys(frame["task"]))
    findings = []
    for task in tasks:
        rows = frame[frame["task"] == task]
        number = estimate_of(rows[rows["method"] == method], quantity)
        outcome: Outcome = "not counted"
        why = ""
        if method == FLOW and quantity == VANISHING:
            layer = estimate_of(rows[rows["method"] == LAYER], quantity)
            why = _gap(number, layer, len(tasks))
            outcome, why = ("open", why) if why else _judge(number, layer)
        threshold = 0.0 if quantity == VANISHING else None
        sources = (of_experiment(EXPERIMENT),)
        findings.append(Finding(str(task), number, threshold, outcome, why, wanted, unit, sources=sources))
    return tuple(findings)


def _gap(flow: Estimate, layer: Estimate, tasks: int) -> str:
    """Why the shares decide nothing; empty if they can."""
    if flow.mean is None or layer.mean is None:
        return f"not measured for both {FLOW} and the {LAYER}"
    if min(flow.n, layer.n) < LEAST_SEEDS:
        return "fewer than two seeds"
    return "measured on one task" if tasks < LEAST_TASKS else ""


def _judge(flow: Estimate, layer: Estimate) -> tuple[Outcome, str]:
    """Whether the flow keeps the gradient where the projection layer loses it."""
    if flow.mean != 0:
        return ("contradicted", "") if _above_zero(flow) else ("open", BOTH_SIDES)
    if _above_zero(layer):
        return "supported", ""
    return "open", f"the {LAYER} may not lose it either"


def _above_zero(share: Estimate) -> bool:
    """Whether the whole interval is; seeds that are all equal have none, and agree."""
    end = share.mean if share.low is None else share.low
    return end is not None and end > 0
