"""E3, flow and DDPG: whether the constraint is kept throughout training on R+L2.

Shares of a stretch are at tolerance 0, the only one in the curves of a run. The warm-up, with its random actions, is
left out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from benchmark.experiments.base import Context, Experiment, Measured, describe, describe_runs
from benchmark.experiments.rows import Row, make_frame, mean_row
from benchmark.publishing.figures.styles import SEEDS_FOR_BAND, style_of
from benchmark.publishing.tables.rendering import Column, View, make_cells
from benchmark.records.results import TOLERANCES
from benchmark.records.runs import NoRunsError
from benchmark.records.selection import CompleteRun
from envs.errors import UserError

TASK = "R+L2"
KEYS = ["method", "from_step", "to_step"]
# The most stretches to average over seeds and tabulate; lines of single seeds show every evaluation.
MOST = 10
# Below this, the axis is linear, to show a share of 0.
LINEAR_UP_TO = 1e-3


@dataclass(frozen=True)
class Stretch:
    """The steps ``start + 1`` to ``end`` of a run.

    Attributes:
        judged: Outputs of the policy, without those of the warm-up, where actions are random.
        violating: Outputs with a positive summed violation (tolerance 0).
    """

    start: int
    end: int
    judged: int
    violating: int

    @property
    def share(self) -> float:
        """Share of the outputs that violate."""
        return self.violating / self.judged


def stretches_of(run: CompleteRun, most: int | None = None) -> list[Stretch]:
    """The run cut at its evaluations, or at those nearest to equal parts if there are more than ``most``.

    Raises:
        UserError: If the run's curves lack violations.
    """
    curves, total = run.record.curves, run.steps
    steps, counts = curves.get("step", []), curves.get("violations/policy", [])
    known = {int(s): int(c) for s, c in zip(steps, counts, strict=False) if s is not None and c is not None}
    if total not in known or len(steps) != len(counts):
        name = f"{run.record.task} {run.record.method} seed {run.record.seed}"
        raise UserError(f"the run {name} has no curve of violations up to its last step: run it again")
    ends = sorted(known)
    if most is not None and len(ends) > most:
        ends = sorted({min(ends, key=lambda step: abs(step - total * part / most)) for part in range(1, most + 1)})
    silent = warmup_of(run)
    return [
        Stretch(start, end, max(end - max(start, silent), 0), known[end] - known.get(start, 0))
        for start, end in itertools.pairwise([0, *ends])
    ]


def warmup_of(run: CompleteRun) -> int:
    """The steps with random actions at the start of a run; every later step was judged."""
    return run.steps - run.violations.policy.n


def measure(context: Context) -> Measured:
    """The share of the policy's outputs that violate, by method, in each stretch and overall."""
    context.task(TASK)
    found = context.found
    if not found.of_task(TASK):
        raise NoRunsError(context.profile, context.results, f"{TASK} in profile {context.profile}")
    rows: list[Row] = []
    marks: list[Row] = []
    for method in found.methods:
        runs = found.runs(TASK, method)
        rows += [row | {"method": method} for row in method_rows(runs, len(found.seeds))]
        marks += [
            {"method": method, "seed": run.record.seed, "step": stretch.end, "share": stretch.share}
            for run in runs
            for stretch in stretches_of(run)
            if stretch.judged
        ]
    return Measured(make_frame(KEYS, rows), pd.DataFrame(marks, columns=["method", "seed", "step", "share"]))


def method_rows(runs: list[CompleteRun], wanted: int) -> list[Row]:
    """Rows of one method: its stretches, then all of the training."""
    rows: list[Row] = []
    for same in zip(*(stretches_of(run, MOST) for run in runs), strict=True):
        place = {"from_step": same[0].start, "to_step": same[0].end}
        rows += [
            mean_row("judged", "outputs", [stretch.judged for stretch in same], wanted) | place,
            mean_row("violating", "outputs", [stretch.violating for stretch in same], wanted, 0.0) | place,
            mean_row("violating share", "share", [part.share for part in same if part.judged], wanted, 0.0) | place,
        ]
    policies = [policy for run in runs if (policy := run.violations.policy).n]
    whole = {"from_step": 0, "to_step": runs[0].steps if runs else 0}
    rows.append(mean_row("violating in all", "outputs", [policy.count for policy in policies], wanted, 0.0) | whole)
    for tolerance in TOLERANCES:
        shares = [1 - policy.valid_at(tolerance) for policy in policies]
        rows.append(mean_row("violating share in all", "share", shares, wanted, tolerance) | whole)
    return rows


def caption(context: Context) -> str:
    """See :class:`Experiment`."""
    return (
        f"Infeasible outputs of the policy during training on {TASK}, before noise and repair and without the warm-up "
        f"({describe(context)}; mean over seeds with 95% confidence intervals). A stretch lies between two "
        "evaluations, and only the flows claim to keep the constraint, since a projection acts on the output."
    )


def views(numbers: pd.DataFrame) -> list[View]:
    """See :class:`Experiment`."""
    total = [Column("violating", "violating in all", 0.0)]
    total += [Column(f"violating at {tol:g} [%]", "violating share in all", tol) for tol in TOLERANCES]
    whole = numbers[numbers["quantity"].str.endswith("in all")]
    parts = numbers[~numbers["quantity"].str.endswith("in all")]
    judged = parts[parts["quantity"] == "judged"].groupby(["from_step", "to_step"])["mean"].max()
    spoken = [f"{start:,} to {end:,}" for start, end in judged[judged > 0].index.tolist()]
    named = parts.assign(
        steps=[f"{start:,} to {end:,}" for start, end in zip(parts["from_step"], parts["to_step"], strict=True)]
    )
    wide = named[named["steps"].isin(spoken) & (named["quantity"] == "violating share")]
    wide = wide.assign(quantity=wide["steps"])
    columns = [Column(f"steps {steps} [%]", steps, 0.0) for steps in spoken]
    heading = "Share of outputs that violate at tolerance 0, by stretch"
    return [
        View("All of the training", make_cells(whole, ["method"], total, "n of N")),
        View(heading, make_cells(wide, ["method"], columns, "n of N")),
    ]


def draw(measured: Measured) -> Figure:
    """Share against steps: mean over seeds, single seeds as thin lines, and a band for the interval."""
    figure = Figure(figsize=(7.5, 4.8), layout="constrained")
    panel = figure.subplots()
    numbers = measured.numbers[measured.numbers["quantity"] == "violating share"].dropna(subset="value")
    for name in measured.marks["method"].unique():
        style = style_of(name)
        for _, seed in measured.marks[measured.marks["method"] == name].groupby("seed"):
            panel.plot(seed["step"], seed["share"], color=style.colour, linewidth=0.6, alpha=0.6)
        mean = numbers[numbers["method"] == name]
        line = {"color": style.colour, "marker": style.marker, "linestyle": style.dashes, "label": name}
        panel.plot(mean["to_step"], mean["value"], linewidth=1.8, markersize=5, **line)
        if (mean["n"] >= SEEDS_FOR_BAND).all() and mean["low"].notna().any():
            panel.fill_between(mean["to_step"], mean["low"], mean["high"], color=style.colour, alpha=0.2, linewidth=0)
    panel.set_yscale("symlog", linthresh=LINEAR_UP_TO)
    panel.set_ylim(-LINEAR_UP_TO / 5, 1.5)
    panel.set_yticks([0, 1e-3, 1e-2, 1e-1, 1], ["0", "0.1%", "1%", "10%", "100%"])
    panel.set_xlim(left=0)
    panel.set_xlabel("environment steps at the end of a stretch")
    panel.set_ylabel("outputs that violate (tolerance 0)")
    panel.set_title(f"{TASK}: violations of the policy's output between evaluations")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, handlelength=4)
    return figure


EXPERIMENT = Experiment("E3: the constraint throughout training on R+L2", measure, caption, views, draw, describe_runs)
