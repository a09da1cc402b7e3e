"""E1, the circle: from uniform latents to valid actions on R+L2, with every flow of the profile."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from scipy import stats
from torch import Tensor

from benchmark.experiments.base import Context, Experiment, Measured, describe
from benchmark.experiments.rows import VALID, Row, make_frame, single_row, validity_rows
from benchmark.publishing.figures.styles import style_of
from benchmark.publishing.tables.rendering import Column, View, make_cells, percent
from envs.constraints import Ball
from envs.registry import make_task
from envs.seeding import make_generator
from methods.flows.measure import DRAW, draw_actions, flow_recall, summed_violation

TASK = "R+L2"
EXACT = "uniform on the disc"
RINGS, SECTORS = 2, 4
CELLS = RINGS * SECTORS
# Enough to show the distribution of a flow's actions, few enough to tell them apart.
SHOWN = 1_500
KEYS = ["flow", "latent"]


def measure(context: Context) -> Measured:
    """Validity, recall and evenness of every flow, next to exact uniform draws."""
    task = context.task(TASK)
    disc, draws = task.constraint, context.settings.draws
    assert isinstance(disc, Ball)
    nothing = torch.empty((1, 0))
    rows: list[Row] = []
    marks = []
    for name in context.chosen.flow_methods:
        method = context.flow_method(task, name)
        flow = method.trained_flow()
        for kind in DRAW:
            actions, states = draw_actions(flow, nothing, kind, draws, make_generator(0, "e1", name, kind))
            sizes = summed_violation(disc, actions, states)
            found = [*validity_rows(sizes), *evenness(actions[sizes <= 0], disc.radius_squared)]
            rows += [row | {"flow": name, "latent": kind} for row in found]
            (x, y), valid = actions[:SHOWN].numpy().T, (sizes[:SHOWN] <= 0).numpy()
            marks.append(pd.DataFrame({"x": x, "y": y, "valid": valid, "flow": name, "latent": kind}))
        recall = flow_recall(flow, context.samples(task, method))
        rows.append(single_row("recall", "share", recall) | {"flow": name, "latent": "uniform"})
    exact = disc.sample(torch.empty((draws, 0), dtype=torch.float64), make_generator(0, "e1", EXACT))
    rows += [row | {"flow": EXACT, "latent": "none"} for row in evenness(exact, disc.radius_squared)]
    return Measured(make_frame(KEYS, rows), pd.concat(marks))


def cells_of(actions: Tensor, radius_squared: float) -> Tensor:
    """The cell, of 8 with equal area, of each action (N, 2): inner or outer half of the area, by quadrant."""
    outer = ((actions**2).sum(dim=1) > radius_squared / RINGS).long()
    angle = torch.atan2(actions[:, 1], actions[:, 0]) + math.pi
    return SECTORS * outer + (angle / (2 * math.pi / SECTORS)).long().clamp(max=SECTORS - 1)


def evenness(actions: Tensor, radius_squared: float) -> Iterator[Row]:
    """How evenly valid actions (N, 2) cover the disc; no rows if there are no valid actions."""
    counts = torch.bincount(cells_of(actions, radius_squared), minlength=CELLS).numpy()
    total = int(counts.sum())
    if not total:
        return
    shares = counts / total
    distance = float(abs(shares - 1 / CELLS).sum() / 2)
    yield single_row("valid draws", "draws", total)
    yield single_row("total variation", "share", distance)
    yield single_row("chi-square", "statistic", float(stats.chisquare(counts).statistic))
    for number, share in enumerate(shares):
        yield single_row(f"share of cell {number}", "share", float(share))


def caption(context: Context) -> str:
    """See :class:`Experiment`."""
    low, high = stats.chi2.interval(0.95, CELLS - 1)
    return (
        f"Validity, recall and evenness of the flows on {TASK} for {context.settings.draws:,} latents of each kind "
        f"({describe(context)}; one flow per method, so there are no intervals). Evenness compares the number of valid "
        f"draws in {CELLS} cells of equal area with equal shares, by total variation and by a chi-square statistic "
        f"that lies between {low:.1f} and {high:.0f} for 95% of exact uniform samples, such as that of the last row."
    )


def views(numbers: pd.DataFrame) -> list[View]:
    """See :class:`Experiment`."""
    flows = numbers[numbers["flow"] != EXACT]
    recall = numbers[numbers["latent"] == "uniform"]
    inside = numbers[numbers["latent"] != "boundary"]
    even = [Column("valid draws", "valid draws"), Column("total variation [%]", "total variation")]
    return [
        View("Validity", make_cells(flows, KEYS, VALID)),
        View("Recall", make_cells(recall, ["flow"], [Column("recall [%]", "recall")])),
        View("Evenness", make_cells(inside, ["flow"], [*even, Column("chi-square", "chi-square")])),
    ]


def draw(measured: Measured) -> Figure:
    """Draws of every flow over the circle: one column per flow, one row per kind of latent."""
    disc = make_task(TASK).constraint
    assert isinstance(disc, Ball)
    names = measured.marks["flow"].unique()
    figure = Figure(figsize=(2.7 * len(names) + 0.4, 6.3), layout="constrained")
    grid = figure.subplots(len(DRAW), len(names), squeeze=False, sharex=True, sharey=True)
    for column, name in enumerate(names):
        for row, kind in enumerate(DRAW):
            marks = measured.marks[(measured.marks["flow"] == name) & (measured.marks["latent"] == kind)]
            draw_panel(grid[row, column], marks, name, disc.radius_squared)
            grid[row, column].set_title(f"{name}\n{kind} latents" if row == 0 else f"{kind} latents")
    handles = [
        Line2D([], [], color="0.35", marker="o", markersize=4, linestyle="", label="valid at tolerance 0"),
        Line2D([], [], color="crimson", marker="x", markersize=5, linestyle="", label="invalid"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(f"{TASK}: {SHOWN:,} draws of each flow, and the circle")
    return figure


def draw_panel(panel: Axes, marks: pd.DataFrame, name: str, radius_squared: float) -> None:
    """Draws of one flow with one kind of latent."""
    good, bad = marks[marks["valid"]], marks[~marks["valid"]]
    panel.plot(good["x"], good["y"], linestyle="", marker="o", markersize=1.6, color=style_of(name).colour)
    panel.plot(bad["x"], bad["y"], linestyle="", marker="x", markersize=4, color="crimson", zorder=3)
    panel.add_patch(Circle((0, 0), math.sqrt(radius_squared), fill=False, linewidth=0.8, edgecolor="black"))
    panel.set_aspect("equal")
    panel.set_xlim(-0.28, 0.28)
    panel.set_ylim(-0.28, 0.28)
    share = len(good) / len(marks) if len(marks) else math.nan
    panel.text(0.02, 0.02, f"{percent(share)}% valid", transform=panel.transAxes, fontsize=9)


EXPERIMENT = Experiment("E1: uniform latents to valid actions on the circle", measure, caption, views, draw)
