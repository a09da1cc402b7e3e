"""E2: Hamiltonian Monte-Carlo against rejection on the circle, and on the two non-convex sets of Reacher.

Samples from rejection are independent, so each is an effective one. Its acceptance is that of proposals, which is the
set's share of the action box. The acceptance of Hamiltonian Monte-Carlo is that of the steps of its trajectories, which
run in hundreds of chains at once. All samples are feasible at tolerance 0.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmark.analysis.statistics import point
from benchmark.experiments.base import Context, Experiment, Measured, machine
from benchmark.experiments.rows import Row, make_frame, make_row, mean_row
from benchmark.experiments.sampling import SampleReport, run_sampler
from benchmark.publishing.figures.styles import COLOURS
from benchmark.publishing.tables.rendering import Column, View, make_cells
from envs.registry import make_task

TASKS = ("R+L2", "R+Ring", "R+2D")
SAMPLERS = ("rejection", "hmc")
COLOUR = dict(zip(SAMPLERS, (COLOURS[1], COLOURS[0]), strict=True))
SHOWN = 1_500
LARGEST = "none: the largest of the repeats"
KEYS = ["task", "sampler"]


def measure(context: Context) -> Measured:
    """Speed and quality of both samplers on every set, each time with another seed."""
    count, rows, marks = context.settings.samples, list[Row](), list[pd.DataFrame]()
    for task_id in TASKS:
        task = make_task(task_id)
        for sampler in SAMPLERS:
            # Pay for imports and the like before the clock starts.
            run_sampler(task, sampler, min(count, 400), seed=0)
            done = [run_sampler(task, sampler, count, seed) for seed in range(context.settings.repeats)]
            reports = [report for _, report in done]
            rows += [row | {"task": task_id, "sampler": sampler} for row in report_rows(reports)]
            # The last draws, where chains are farthest from their starts.
            last = done[0][0][-SHOWN:].numpy()
            marks.append(pd.DataFrame({"task": task_id, "sampler": sampler, "x": last[:, 0], "y": last[:, 1]}))
    return Measured(make_frame(KEYS, rows), pd.concat(marks, ignore_index=True))


def report_rows(reports: list[SampleReport]) -> Iterator[Row]:
    """Means over repeats and the largest R-hat. Samples from rejection are independent, so each is an effective one."""
    repeats = len(reports)
    rates = [report.samples_per_second for report in reports]
    independent = reports[0].sampler == "rejection"
    effective = rates if independent else [r.ess_per_second for r in reports if r.ess_per_second is not None]
    mixing = [report.rhat for report in reports if report.rhat is not None]
    yield mean_row("samples_per_second", "1/s", rates, repeats)
    yield mean_row("effective_per_second", "1/s", effective, repeats)
    yield mean_row("acceptance", "share", [report.acceptance for report in reports], repeats)
    yield make_row("rhat", "ratio", point(max(mixing, default=None), len(mixing), LARGEST), wanted=repeats)
    yield mean_row("seconds", "seconds", [report.seconds for report in reports], repeats)


def caption(context: Context) -> str:
    """See :class:`Experiment`."""
    settings = context.settings
    return (
        "Speed of Hamiltonian Monte-Carlo and of rejection from the action box: mean over "
        f"{settings.repeats} repeats of {settings.samples:,} samples, with 95% confidence intervals "
        f"(profile {context.label}, seeds 0 to {settings.repeats - 1}, on {machine()}). Effective samples and R-hat "
        "(1 if chains agree; the largest of the repeats) are ArviZ's, and the time of Hamiltonian Monte-Carlo includes "
        "its warm-up."
    )


def views(numbers: pd.DataFrame) -> list[View]:
    """See :class:`Experiment`."""
    columns = [
        Column("samples per second", "samples_per_second"),
        Column("effective per second", "effective_per_second"),
        Column("acceptance [%]", "acceptance"),
        Column("R-hat", "rhat"),
        Column("seconds", "seconds"),
    ]
    return [View("", make_cells(numbers, KEYS, columns))]


def draw(measured: Measured) -> Figure:
    """Draws of both samplers, one column per set, above bars of their speeds."""
    figure = Figure(figsize=(3.0 * len(TASKS), 7.6), layout="constrained")
    rows = len(SAMPLERS) + 1
    for column, task in enumerate(TASKS):
        for row, sampler in enumerate(SAMPLERS):
            panel = figure.add_subplot(rows, len(TASKS), row * len(TASKS) + column + 1)
            marks = measured.marks[(measured.marks["task"] == task) & (measured.marks["sampler"] == sampler)]
            panel.plot(marks["x"], marks["y"], linestyle="", marker="o", markersize=1.2, color=COLOUR[sampler])
            panel.set_aspect("equal", adjustable="datalim")
            panel.xaxis.set_major_locator(MaxNLocator(5))
            panel.set_title(f"{task}: {sampler}")
        panel = figure.add_subplot(rows, len(TASKS), len(SAMPLERS) * len(TASKS) + column + 1)
        draw_speed(panel, measured.numbers[measured.numbers["task"] == task])
        panel.set_yticklabels(SAMPLERS if column == 0 else [""] * len(SAMPLERS))
    figure.suptitle("The last 1,500 draws of both samplers, and effective samples per second")
    return figure


def draw_speed(panel: Axes, numbers: pd.DataFrame) -> None:
    """Effective samples per second of each sampler, with the interval over repeats."""
    speed = numbers[numbers["quantity"] == "effective_per_second"].set_index("sampler").loc[list(SAMPLERS)]
    value = speed["value"].to_numpy(float)
    ends = speed[["low", "high"]].to_numpy(float)
    spread = np.nan_to_num(np.abs(ends - value[:, None])).T
    places = range(len(SAMPLERS))
    # An interval that reaches 0 does not fit a logarithmic axis: it is cut at a tenth of the bar.
    spread[0] = np.minimum(spread[0], 0.9 * value)
    panel.barh(places, value, xerr=spread, color=[COLOUR[name] for name in SAMPLERS], height=0.6, linewidth=0)
    for place, number in zip(places, value, strict=True):
        panel.text(value.min() / 20, place, f" {number:,.0f}", va="center", color="white", fontsize=9)
    panel.set_xscale("log")
    panel.set_xlim(value.min() / 20, value.max() * 3)
    panel.set_yticks(list(places))
    panel.set_ylim(len(SAMPLERS) - 0.5, -0.5)
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("effective samples per second")


EXPERIMENT = Experiment("E2: Hamiltonian Monte-Carlo against rejection", measure, caption, views, draw)
