"""N1: validity of a flow trained on one constraint and used on a changed one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from benchmark.analysis.statistics import Estimate
from benchmark.experiments.base import Context, Experiment, Measured, describe, describe_runs, make_grid
from benchmark.experiments.rows import VALID, Row, make_frame, make_row, mean_validity_rows, single_row, validity_rows
from benchmark.publishing.figures.styles import add_legend, style_of
from benchmark.publishing.tables.rendering import Column, View, make_cells
from benchmark.records.results import TOLERANCES
from envs.constraints import Allocation, Ball, Constraint
from envs.constraints.budget import Budget
from envs.errors import UserError
from envs.registry import TaskSpec, make_task
from envs.sampling.dataset import embed
from envs.seeding import make_generator
from methods.base import Tensors
from methods.flowpg import FlowPGBase
from methods.flows.base import Flow
from methods.flows.gauge import GaugeFlow
from methods.flows.measure import draw_actions, flow_violations, summed_violation
from methods.flows.training import flow_state, load_flow

SAME = 1.0
AS_TRAINED, NEW_GAUGE = "as trained", "gauge of the new set"
SAMPLED = "sampled"
EMPTY = "none: the changed set is empty"
# The largest distance of a reconstructed action, in half-widths of the box around the flow's set: well above the
# rounding of a flow in single precision.
NEAR = 1e-3
KEYS = ["task", "method", "variant", "factor", "states"]


def threshold_of(constraint: Constraint) -> str | None:
    """Name of the threshold that :func:`with_threshold` changes; None if the constraint has none."""
    if isinstance(constraint, Ball):
        return "radius²"
    if isinstance(constraint, Budget):
        return "bound"
    return "capacity" if isinstance(constraint, Allocation) else None


def with_threshold(constraint: Constraint, factor: float) -> Constraint | None:
    """The same constraint with ``factor`` times the threshold, within the same action box.

    The threshold is a ball's squared radius, a budget's bound, or an allocation's capacity, which is the width of its
    action box.

    Returns:
        The changed constraint; None if it has no threshold.

    Raises:
        UserError: If the changed set is empty.
    """
    lower, upper = constraint.lower, constraint.upper
    if isinstance(constraint, Ball):
        return Ball(factor * constraint.radius_squared, lower, upper)
    if isinstance(constraint, Budget):
        return type(constraint)(factor * constraint.bound, lower, upper, constraint.context_indices)
    if isinstance(constraint, Allocation):
        return Allocation(constraint.total, lower, lower + factor * (upper - lower))
    return None


def measure(context: Context) -> Measured:
    """Validity and recall of every flow on every changed set, and validity at states of every method's policies."""
    rows: list[Row] = []
    for task_id in context.chosen.tasks:
        task = context.task(task_id)
        if threshold_of(task.constraint) is None:
            continue
        for name in context.chosen.flow_methods:
            method = context.flow_method(task, name)
            samples = context.samples(task, method)
            found = [*changed_rows(context, task, method, samples), *foreign_rows(context, task, method)]
            rows += [row | {"task": task_id, "method": name} for row in found]
    return Measured(make_frame(KEYS, rows))


def changed_rows(context: Context, task: TaskSpec, method: FlowPGBase[Any], samples: Tensors) -> Iterator[Row]:
    """Rows of the flow on sets with other thresholds, and on its own set."""
    flow, draws = method.trained_flow(), context.settings.draws
    generator = make_generator(0, "n1", task.id, method.id)
    trained = draw_actions(flow, samples["test_context"], "uniform", draws, generator)
    for factor in sorted({*context.settings.factors, SAME}):
        place = {"factor": factor, "states": SAMPLED, "variant": AS_TRAINED}
        try:
            changed = with_threshold(task.constraint, factor)
        except UserError:
            yield from (place | row for row in empty_rows())
            continue
        assert changed is not None
        contexts = samples["test_context"][: context.settings.feasible]
        uniform = make_generator(0, "n1", task.id, "feasible", f"{factor:g}")
        feasible = changed.sample(embed(changed, contexts.double()), uniform), contexts
        yield from (place | row for row in validity_rows(summed_violation(changed, *trained)))
        yield place | recall_row(flow, *feasible)
        if isinstance(flow, GaugeFlow) and factor != SAME:
            place["variant"] = NEW_GAUGE
            renewed = with_constraint(task, method, changed)
            new = draw_actions(renewed, samples["test_context"], "uniform", draws, generator)
            yield from (place | row for row in validity_rows(summed_violation(changed, *new)))
            yield place | recall_row(renewed, *feasible)


def empty_rows() -> Iterator[Row]:
    """Rows of an empty set."""
    nothing = Estimate(None, None, None, 0, EMPTY)
    for tolerance in TOLERANCES:
        yield make_row("valid share", "share", nothing, tolerance)
    yield make_row("recall", "share", nothing)


def with_constraint(task: TaskSpec, method: FlowPGBase[Any], changed: Constraint) -> Flow:
    """The trained flow with the same weights, built on the changed constraint."""
    state = flow_state(method.trained_flow(), method.flow_curve)
    return load_flow(dataclasses.replace(task, constraint=changed), method.config.flow, state)[0]


@torch.no_grad()
def recall_row(flow: Flow, actions: Tensor, context: Tensor) -> Row:
    """Share of feasible actions (N, n) that the flow reaches from its box of latents.

    An action counts if its latent lies in the box and maps back to the action: a flow's inverse may fail.
    """
    latent, _ = flow.inverse(actions.float(), context)
    missed = flow.constraint.to_free(flow(latent, context)) - flow.constraint.to_free(actions)
    reached = ((latent.abs() <= 1) & ((missed / flow.box_half).abs() <= NEAR)).all(dim=1)
    return single_row("recall", "share", float(reached.double().mean()))


def foreign_rows(context: Context, task: TaskSpec, method: FlowPGBase[Any]) -> Iterator[Row]:
    """Rows of the flow at states that the last policies of every method visit, including its own."""
    flow = method.trained_flow()
    for name in context.found.methods if task.constraint.context_indices else ():
        sizes = []
        for run in (run.record for run in context.found.runs(task.id, name)):
            if run.final_policy and run.final_policy.contexts:
                states, generator = torch.tensor(run.final_policy.contexts), make_generator(run.seed, "n1", name)
                sizes.append(flow_violations(flow, states, "uniform", context.settings.draws, generator))
        place = {"factor": SAME, "states": name, "variant": AS_TRAINED}
        yield from (place | row for row in mean_validity_rows(sizes, len(context.chosen.seeds)))


def caption(context: Context) -> str:
    """See :class:`Experiment`."""
    settings = context.settings
    return (
        "Validity and recall of each task's flow on the same constraint with its threshold times a factor, for "
        f"{settings.draws:,} uniform latents and {settings.feasible:,} uniform feasible actions ({describe(context)}; "
        "one flow per task and method). A dash means that the changed set is empty, and states of other policies are "
        "those that each method's last policies visit, with 95% confidence intervals over seeds."
    )


def views(numbers: pd.DataFrame) -> list[View]:
    """See :class:`Experiment`."""
    sampled, foreign = (numbers[(numbers["states"] == SAMPLED) == kind] for kind in (True, False))
    columns = [*VALID, Column("recall [%]", "recall")]
    found = [View("Other thresholds", make_cells(sampled, ["task", "method", "variant", "factor"], columns))]
    if not foreign.empty:
        named = foreign.rename(columns={"states": "states of"})
        cells = make_cells(named, ["task", "method", "states of"], VALID, "n of N")
        found.append(View("States of other policies", cells))
    return found


def draw(measured: Measured) -> Figure:
    """Validity and recall against the factor, one panel per task."""
    numbers = measured.numbers[measured.numbers["states"] == SAMPLED]
    tasks, methods = list(numbers["task"].unique()), list(numbers["method"].unique())
    figure, panels = make_grid(tasks, 3.4)
    for task, panel in zip(tasks, panels, strict=True):
        for (method, variant), rows in numbers[numbers["task"] == task].groupby(["method", "variant"], sort=False):
            draw_lines(panel, rows, str(method), str(variant))
        panel.set_title(f"{task}: {threshold_of(make_task(task).constraint)}")
        panel.set_xscale("log")
        factors = sorted(numbers["factor"].unique())
        panel.set_xticks(factors, [f"{factor:g}" for factor in factors])
        panel.minorticks_off()
        panel.set_ylim(-0.03, 1.03)
        panel.yaxis.set_major_formatter(PercentFormatter(1))
        panel.set_xlabel("threshold / that trained for")
    figure.suptitle(
        "Flows on changed sets: solid, valid (tolerance 0); dotted, recall;\n"
        "open markers: gauge flow with the gauge of the new set"
    )
    add_legend(figure, methods)
    return figure


def draw_lines(panel: Axes, rows: pd.DataFrame, method: str, variant: str) -> None:
    """Validity and recall of one flow in one panel."""
    style = style_of(method)
    fill = style.colour if variant == AS_TRAINED else "white"
    valid = rows[(rows["quantity"] == "valid share") & (rows["tolerance"] == 0)]
    look: dict[str, Any] = {"color": style.colour, "marker": style.marker, "markerfacecolor": fill, "markersize": 5}
    for curve, dashes in ((valid, "-"), (rows[rows["quantity"] == "recall"], ":")):
        panel.plot(curve["factor"], curve["value"], linewidth=1.4, linestyle=dashes, **look)


EXPERIMENT = Experiment(
    "N1: flows on changed constraints and at other states", measure, caption, views, draw, describe_runs
)
