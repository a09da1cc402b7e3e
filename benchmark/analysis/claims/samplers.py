"""C5: samplers of feasible actions."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.claims.evidence import estimate_of, not_made, quotient, read_experiment
from benchmark.analysis.claims.rule import Claim, Finding, Reading, decide
from benchmark.analysis.statistics import Estimate
from benchmark.records.reports import of_experiment
from benchmark.records.selection import Selection
from envs.registry import make_task

# "Far more": this many times the effective samples per second.
THRESHOLD = 10.0
# Vehtari et al. 2021, "Rank-normalization, folding, and localization: an improved R-hat".
LARGEST_RHAT = 1.01
# The factor within which a rate that was measured once is taken as right.
ONCE = 2.0
CIRCLE, GROWTH = "e2", "n2"
SIZES = ["dimension", "share", "constraints"]
# Rejection that draws every coordinate of an allocation, although the last follows from the total.
NAIVE = "rejection-naive"
# Samplers with independent draws.
INDEPENDENT = ("rejection", NAIVE, "psdd")
COLUMN = "times rejection's effective samples a second"


def evaluate_samplers(found: Selection, folder: Path) -> Claim:
    """The claim, judged by effective samples per second in the experiments e2 and n2."""
    circle = read_experiment(folder, CIRCLE, ["task", "sampler"])
    growth = read_experiment(folder, GROWTH, ["sampler", "family"], SIZES)
    by_task = {} if circle is None else {str(task): rows for task, rows in circle.groupby("task", sort=False)}
    by_set = {} if growth is None else _sets(growth)
    curved = {task: rows for task, rows in by_task.items() if not make_task(task).constraint.convex}
    convex = {task: rows for task, rows in by_task.items() if task not in curved}
    no_circle = not_made(CIRCLE, found.profile) if circle is None else ""
    no_growth = not_made(GROWTH, found.profile) if growth is None else ""
    readings = [
        _reading("hmc", "rejection", "non-convex sets", curved, True, CIRCLE, no_circle),
        _reading("hmc", "rejection", "convex sets", convex, False, CIRCLE, no_circle),
        *(_reading("psdd", other, "linear sets", by_set, True, GROWTH, no_growth) for other in ("rejection", NAIVE)),
        _reading("hmc", "rejection", "growing convex sets", by_set, False, GROWTH, no_growth),
    ]
    notes = (
        f"{NAIVE} draws every coordinate of an allocation, rejection all but the last, which follows from the total. "
        "If rejection was given up, its expected rate is used.",
        "Both draw from the whole action box instead of the smallest box around the set, where they would accept more. "
        "This favours the claim: a verdict against it also holds for a tighter box, and one for it may not.",
        "HMC proposes a uniform point of the smallest box around the set after each trajectory, which is rejection "
        "within HMC: where few of these points are feasible, it mixes by its trajectories alone.",
        f"Rates of {GROWTH} were measured once. Each is taken as right within a factor of {ONCE:g}, and a quotient of "
        f"two within {ONCE**2:g}: its brackets are that factor, not an interval. HMC with an R-hat above "
        f"{LARGEST_RHAT:g} supports nothing. Machine and sizes are in experiments/{CIRCLE}.md and {GROWTH}.md.",
    )
    return Claim(
        id="C5",
        title="Samplers",
        said="HMC samples non-convex sets and PSDD linear sets far more efficiently than rejection.",
        source="section 3.2",
        readings=tuple(readings),
        notes=notes,
    )


def _sets(growth: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each set of ``n2``, by a name made from its properties."""
    named = growth.assign(set=[_name(row) for row in growth.to_dict("records")])
    return {str(name): rows for name, rows in named.groupby("set", sort=False)}


def _name(row: dict[Hashable, Any]) -> str:
    sizes = [f"{row['dimension']} dimensions", f"{100 * row['share']:.3g}% feasible"]
    if row["constraints"] > 1:
        sizes.append(f"{row['constraints']} constraints")
    return f"{row['family']} ({', '.join(sizes)})"


def _reading(
    sampler: str,
    against: str,
    sets: str,
    rows_by_set: dict[str, pd.DataFrame],
    decides: bool,
    experiment: str,
    missing: str,
) -> Reading:
    """One sampler against a kind of rejection, on each set of one kind that both sampled."""
    both = {name: rows for name, rows in rows_by_set.items() if {sampler, against} <= set(rows["sampler"])}
    return Reading(
        name=f"{sampler} against {against} on {sets}",
        keys={"sampler": sampler, "against": against, "sets": sets},
        column=COLUMN,
        findings=tuple(_finding(name, rows, sampler, against, experiment) for name, rows in both.items()),
        up_to=False,
        decides=decides,
        missing=missing or ("" if both else f"no {sets} that both {sampler} and {against} were run on"),
    )


def _finding(name: str, rows: pd.DataFrame, sampler: str, against: str, experiment: str) -> Finding:
    own, other = rows[rows["sampler"] == sampler], rows[rows["sampler"] == against]
    effect = quotient(_rate(own, sampler), _rate(other, against))
    if effect.mean is not None and effect.low is None and experiment == GROWTH:
        both = ONCE**2
        effect = Estimate(effect.mean, effect.mean / both, effect.mean * both, effect.n, f"a factor of {ONCE:g} each")
    rhat = estimate_of(own, "rhat").mean
    unsettled = ""
    if sampler not in INDEPENDENT:
        unsettled = "R-hat is unknown" if rhat is None else "R-hat is too large" if rhat > LARGEST_RHAT else ""
    outcome, why = decide(effect, THRESHOLD, unsettled)
    return Finding(name, effect, THRESHOLD, outcome, why, effect.n, "rate", sources=(of_experiment(experiment),))


def _rate(rows: pd.DataFrame, sampler: str) -> Estimate:
    """Effective samples per second."""
    rate = estimate_of(rows, "effective_per_second")
    return estimate_of(rows, "samples_per_second") if rate.mean is None and sampler in INDEPENDENT else rate
