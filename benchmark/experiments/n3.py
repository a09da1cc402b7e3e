"""N3: whether a flow's validity decays over a training run, as the visited states drift away from the trained ones.

Training is cut into fifths, or at the evaluations if there are fewer. In each, the flow is tested at recorded
states of its own runs, next to a fresh test set that is drawn like its training states (half of them widened) with
another seed. The policy's own output is counted at tolerance 0. The warm-up, with its random actions, is left out. If
the constraint does not depend on the state, only the policy is shown: its latents may still drift.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from benchmark.analysis.statistics import mean_interval
from benchmark.experiments.base import Context, Experiment, Measured, describe, describe_runs, make_grid
from benchmark.experiments.e3 import Stretch, stretches_of, warmup_of
from benchmark.experiments.rows import VALID, Row, make_frame, make_row, mean_row, mean_validity_rows, validity_rows
from benchmark.publishing.figures.styles import SEEDS_FOR_BAND, add_legend, style_of
from benchmark.publishing.tables.rendering import Column, View, make_cells
from benchmark.records.runs import NoRunsError
from benchmark.records.selection import CompleteRun
from benchmark.training.flows import shares_within
from benchmark.training.visited import visited_states
from envs.registry import TaskSpec
from envs.sampling.dataset import draw_pairs
from envs.seeding import derive_seed, make_generator
from methods.flows.base import Flow
from methods.flows.measure import flow_violations

FIFTHS = 5
KEYS = ["task", "method", "states", "from", "to"]
FRESH, VISITED, OWN = "fresh test set", "visited", "policy"
CHANGE = "last minus first"
# Possible differences of two shares.
DIFFERENCE = (-1.0, 1.0)
# The figure's axis shows misses on a logarithmic scale, which is linear below this, to show 0.
LINEAR_UP_TO = 1e-4


def measure(context: Context) -> Measured:
    """Validity of every flow at states of its own runs, by stretch, and at fresh states, and of the policies."""
    rows: list[Row] = []
    left_out = pairs_without_run(context)
    for task_id in context.chosen.tasks:
        task = context.task(task_id)
        methods = [method for method in context.chosen.flow_methods if (task_id, method) not in left_out]
        fresh = fresh_contexts(context, task) if methods and task.constraint.context_indices else None
        for name in methods:
            runs = context.found.runs(task_id, name)
            found = [*policy_rows(context, runs)]
            if fresh is not None:
                flow = context.flow_method(task, name).trained_flow()
                found += [*fresh_rows(context, flow, fresh), *visited_rows(context, flow, runs)]
            rows += [row | {"task": task_id, "method": name} for row in found]
    if not rows:
        raise NoRunsError(context.profile, context.results, f"a flow in profile {context.profile}")
    return Measured(make_frame(KEYS, rows))


def pairs_without_run(context: Context) -> list[tuple[str, str]]:
    """Pairs of a task and a flow method of the profile without a complete run."""
    pairs = itertools.product(context.chosen.tasks, context.chosen.flow_methods)
    return [(task, method) for task, method in pairs if not context.found.runs(task, method)]


def fresh_contexts(context: Context, task: TaskSpec) -> Tensor:
    """Contexts drawn like the training contexts of flows, with another seed."""
    settings = context.settings
    seed = derive_seed(0, "n3", task.id)
    pairs = draw_pairs(task, settings.draws, settings.rollout_steps, seed, make_generator(seed, "contexts"))
    return pairs[0].float()


def fresh_rows(context: Context, flow: Flow, fresh: Tensor) -> Iterator[Row]:
    """The reference: validity at fresh states."""
    sizes = flow_violations(flow, fresh, "uniform", context.settings.draws, make_generator(0, "n3", FRESH))
    yield from ({"states": FRESH, "from": 0.0, "to": 1.0} | row for row in validity_rows(sizes))


def visited_rows(context: Context, flow: Flow, runs: list[CompleteRun]) -> Iterator[Row]:
    """Validity at the states visited in each stretch of each run, and how it changes from the first to the last."""
    wanted, first_and_last = len(context.chosen.seeds), list[dict[int, float]]()
    for place, same in in_step(runs):
        sizes, states = dict[int, Tensor](), list[float]()
        for run, stretch in zip(runs, same, strict=True):
            found = torch.tensor(visited_in(run, stretch))
            if len(found):
                seed = run.record.seed
                generator = make_generator(seed, "n3", stretch.end)
                sizes[seed] = flow_violations(flow, found, "uniform", context.settings.draws, generator)
                states.append(float(len(found)))
        if sizes:
            rows = [*mean_validity_rows(list(sizes.values()), wanted), mean_row("states", "states", states, wanted)]
            yield from ({"states": VISITED} | place | row for row in rows)
            shares = {seed: shares_within(violations)["0"] for seed, violations in sizes.items()}
            first_and_last = [*first_and_last[:1], shares]
    if len(first_and_last) > 1:
        first, last = first_and_last
        changes = [last[seed] - first[seed] for seed in first.keys() & last.keys()]
        row = make_row("valid share", "share", mean_interval(changes, DIFFERENCE), 0.0, wanted)
        yield {"states": CHANGE, "from": 0.0, "to": 1.0} | row


def visited_in(run: CompleteRun, stretch: Stretch) -> list[list[float]]:
    """Contexts of the recorded states that a run visited in a stretch, after its warm-up."""
    start = max(stretch.start, warmup_of(run))
    return [context for step, context in visited_states(run.record) if start < step <= stretch.end]


def policy_rows(context: Context, runs: list[CompleteRun]) -> Iterator[Row]:
    """Validity of the policy's own output in each stretch after the warm-up; runs record it at tolerance 0."""
    for place, same in in_step(runs):
        shares = [1 - stretch.share for stretch in same if stretch.judged]
        if shares:
            row = mean_row("valid share", "share", shares, len(context.chosen.seeds), 0.0)
            yield {"states": OWN} | place | row


def in_step(runs: list[CompleteRun]) -> Iterator[tuple[Row, tuple[Stretch, ...]]]:
    """The place of each stretch, in shares of the training, and that stretch of every run."""
    for same in zip(*(stretches_of(run, FIFTHS) for run in runs), strict=True):
        start, end = (round(step / runs[0].steps, 6) for step in (same[0].start, same[0].end))
        yield {"from": start, "to": end}, same


def caption(context: Context) -> str:
    """See :class:`Experiment`."""
    settings = context.settings
    return (
        "Share of valid actions over training after the warm-up, by fifths: of the flow with uniform latents at the "
        f"states that its own runs visit and at a fresh test set ({settings.draws:,} draws), and of the policy's own "
        f"outputs ({describe(context)}; mean over seeds, with intervals and all tolerances in the CSV). If the "
        "constraint does not depend on the state, only the policy is shown."
    )


def notes(context: Context) -> list[str]:
    """See :class:`Experiment`."""
    missing = ", ".join(f"{method} on {task}" for task, method in pairs_without_run(context))
    return [*describe_runs(context), *([f"Left out, without a complete run: {missing}."] if missing else [])]


def views(numbers: pd.DataFrame) -> list[View]:
    """See :class:`Experiment`."""
    summary = pd.concat([ends_of(group) for _, group in numbers.groupby(["task", "method"], sort=False)])
    columns = [Column(f"{name} [%]", name, 0.0) for name in (FRESH, *ends(VISITED), *ends(OWN))]
    found = [View("Valid at tolerance 0, over training", make_cells(summary, ["task", "method"], columns))]
    last = numbers[(numbers["to"] == 1) & numbers["states"].isin([VISITED, CHANGE])]
    if not last.empty:
        last = last.assign(quantity=last["quantity"].mask(last["states"] == CHANGE, CHANGE))
        columns = [Column("states", "states"), *VALID, Column("last minus first fifth [% points]", CHANGE, 0.0)]
        heading = "Visited states of the last fifth, at every tolerance, and the change at tolerance 0"
        found.append(View(heading, make_cells(last, ["task", "method"], columns, "n of N")))
    return found


def ends(states: str) -> tuple[str, str, str, str]:
    """Names of the first, the best, the worst and the last stretch."""
    return f"{states}, first", f"{states}, best", f"{states}, worst", f"{states}, last"


def ends_of(group: pd.DataFrame) -> pd.DataFrame:
    """The fresh, first, best, worst and last rows of one task and method at tolerance 0."""
    exact = group[group["tolerance"] == 0]
    # One flow serves all runs, so the fresh test set is as complete as its row.
    whole = {"n": exact["n"].max(), "N": exact["N"].max()}
    found = [exact[exact["states"] == FRESH].assign(quantity=FRESH, **whole)]
    for states in (VISITED, OWN):
        rows = exact[exact["states"] == states].sort_values("to")
        if not rows.empty:
            chosen = rows.iloc[[0, int(rows["mean"].argmax()), int(rows["mean"].argmin()), -1]]
            found.append(chosen.assign(quantity=ends(states)))
    # Intervals would make the table too wide; the CSV has them.
    return pd.concat(found).assign(low=float("nan"), high=float("nan"))


def draw(measured: Measured) -> Figure:
    """Share of invalid actions against progress, one panel per task: visited states, fresh states, the policy."""
    exact = measured.numbers[measured.numbers["tolerance"] == 0]
    tasks, methods = list(exact["task"].unique()), list(exact["method"].unique())
    figure, panels = make_grid(tasks)
    for task, panel in zip(tasks, panels, strict=True):
        for method in methods:
            draw_method(panel, exact[(exact["task"] == task) & (exact["method"] == method)], method)
        panel.set_title(task)
        panel.set_yscale("symlog", linthresh=LINEAR_UP_TO)
        panel.set_ylim(1.5, -LINEAR_UP_TO / 2)
        panel.set_yticks([1, 1e-1, 1e-2, 1e-3, 1e-4, 0], ["0", "90%", "99%", "99.9%", "99.99%", "100%"])
        panel.set_xlim(0, 1)
        panel.set_xlabel("share of the training done")
    panels[0].set_ylabel("valid (tolerance 0)")
    figure.suptitle(
        "Validity over training: solid, flow at visited states; dotted, the policy's output;\n"
        "dashed, flow at a fresh test set"
    )
    add_legend(figure, methods)
    return figure


def draw_method(panel: Axes, rows: pd.DataFrame, method: str) -> None:
    """The curves of one method in one panel."""
    style = style_of(method)
    for states, dashes in ((VISITED, "-"), (OWN, ":")):
        curve = rows[rows["states"] == states].dropna(subset="value").sort_values("to")
        middle = (curve["from"] + curve["to"]) / 2
        line: dict[str, Any] = {"color": style.colour, "marker": style.marker, "markersize": 4, "linestyle": dashes}
        panel.plot(middle, 1 - curve["value"], linewidth=1.6, **line)
        if (curve["n"] >= SEEDS_FOR_BAND).all() and curve["low"].notna().any():
            panel.fill_between(middle, 1 - curve["high"], 1 - curve["low"], color=style.colour, alpha=0.15, linewidth=0)
    for value in rows[rows["states"] == FRESH]["value"]:
        panel.axhline(1 - value, color=style.colour, linestyle="--", linewidth=1)


EXPERIMENT = Experiment("N3: validity over a long training run", measure, caption, views, draw, notes)
