"""Pictures of tasks: the feasible region, how infeasible actions are repaired, and the samples of a flow.

The same task and flow give the same bytes. Colour-blind readers can tell the colours apart, and marks differ in shape
as well.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.typing import RcKeyType
from PIL import Image
from torch import Tensor

from benchmark.publishing.figures.styles import COLOURS
from benchmark.publishing.pictures import action_planes
from benchmark.publishing.pictures.action_planes import FINE, Slice, grid, share
from benchmark.publishing.tables.rendering import percent
from envs.constraints import Allocation
from envs.registry import TaskSpec
from envs.seeding import make_generator
from methods.flows.base import Flow
from methods.flows.measure import draw_actions, summed_violation

FEASIBLE, INFEASIBLE, REPAIRED, EDGE = COLOURS[9], COLOURS[3], COLOURS[0], "0.15"
# A panel is about a third of a phone's width, so letters have to be large.
SETTINGS: dict[RcKeyType, Any] = {
    "font.size": 12.0,
    "axes.titlesize": 12.0,
    "axes.labelsize": 13.0,
    "legend.fontsize": 12.0,
}
ONE_PANEL, OF_THREE = 2.7, 1.9
DPI, PALETTE = 140, 64
# Fields along each side of the window; each has one infeasible action.
FIELDS = 4
# As shares of the window: the distance at which an action counts as in the plane, and the shortest visible arrow.
NEAR, SHORTEST = 1e-6, 0.07
DRAWS = 400
FEW = 3
# Seed of states, infeasible actions and latents.
SEED = 0


@dataclass(frozen=True)
class Picture:
    """The content of a picture's file, its extension, and its text alternative."""

    content: bytes
    kind: str
    alt: str


@dataclass(frozen=True)
class View:
    """What is shown of a task: a plane of its actions, the states (S, o) of its panels, and the corners of a panel."""

    task: TaskSpec
    plane: Slice
    states: Tensor
    lower: Tensor
    upper: Tensor

    @classmethod
    def of(cls, task: TaskSpec) -> View:
        """The view that shows a task's constraint best, at states of some episodes."""
        states = action_planes.visited_states(task, SEED)
        plane = action_planes.choose_slice(task.constraint, states)
        chosen = action_planes.choose_states(plane, states)
        return cls(task, plane, chosen, *action_planes.window(plane, chosen))

    def describe(self) -> str:
        """Plane and states in words."""
        first, second = self.plane.names()
        plane = f"in the plane of {first} and {second}"
        if len(self.plane.x) + len(self.plane.y) < self.task.constraint.free_dim:
            plane += ", with the other coordinates at the interior point"
        if len(self.states) == 1:
            return plane
        return f"{plane}, at the states s of an episode with the largest, a middle and the smallest feasible region"


def draw_constraint(task: TaskSpec) -> Picture:
    """The feasible region and repairs of infeasible actions: three panels if C(s) depends on the state, else one."""
    view = View.of(task)
    figure, panels = make_panels(view)
    arrows = 0
    for panel, obs in zip(panels, view.states, strict=True):
        draw_region(panel, view, obs[None])
        arrows += draw_repairs(panel, view, obs[None], make_generator(SEED, "picture", task.id))
    handles: list[Patch | Line2D] = [
        Patch(facecolor=FEASIBLE, edgecolor=EDGE, label="feasible"),
        Line2D([], [], color=INFEASIBLE, marker="x", markersize=7, markeredgewidth=2, linestyle="", label="infeasible"),
    ]
    if arrows:
        handles.append(Line2D([], [], color=REPAIRED, marker=">", markersize=6, linestyle="-", label="repaired to"))
    add_legend(figure, handles, len(panels))
    shares = " / ".join(percent(share(view.plane, obs[None], FINE)) for obs in view.states)
    alt = f"Feasible actions of {task.id}, {task.constraint.formula()}, {view.describe()}: {shares}% of the action box."
    repaired = "Arrows lead from infeasible actions to those executed instead."
    left_out = "Crosses are infeasible actions; the actions executed instead lie outside the plane."
    return Picture(save_png(figure), "png", f"{alt} {repaired if arrows else left_out}")


def draw_flow(task: TaskSpec, flow: Flow, name: str) -> Picture:
    """Actions of a flow for uniform latents, at the same states and in the same plane as :func:`draw_constraint`.

    Actions with more than two free coordinates are projected onto the plane, over uniform feasible actions in place of
    the region.
    """
    view = View.of(task)
    # A single panel has the heading in its title of two lines.
    figure, panels = make_panels(view, extra=0.5 if len(view.states) > 1 else 0.8)
    heading = f"{name}, {DRAWS} draws"
    valid = []
    for panel, obs in zip(panels, view.states, strict=True):
        generator = make_generator(SEED, "picture", task.id, name)
        context = task.constraint.context(obs[None]).float()
        actions, contexts = draw_actions(flow, context, "uniform", DRAWS, generator)
        good = summed_violation(task.constraint, actions, contexts) <= 0
        points = view.plane.coordinates(actions)
        if view.plane.whole:
            draw_region(panel, view, obs[None])
        else:
            feasible = task.constraint.sample(obs.expand(DRAWS, -1), generator)
            draw_points(panel, view.plane.coordinates(feasible), "o", "0.75", 2.5)
        draw_points(panel, points[good], "o", REPAIRED, 2.5)
        draw_points(panel, points[~good], "x", INFEASIBLE, 4)
        valid.append(f"{percent(float(good.double().mean()))}%")
        panel.set_title(f"{valid[-1]} valid" if len(panels) > 1 else f"{heading}\n{valid[-1]} valid")
    handles: list[Patch | Line2D] = [Patch(facecolor=FEASIBLE, edgecolor=EDGE, label="feasible")]
    if not view.plane.whole:
        handles = [Line2D([], [], color="0.75", marker="o", markersize=5, linestyle="", label="feasible, uniform")]
    handles.append(Line2D([], [], color=REPAIRED, marker="o", markersize=5, linestyle="", label="valid"))
    handles.append(Line2D([], [], color=INFEASIBLE, marker="x", markersize=7, linestyle="", label="invalid"))
    add_legend(figure, handles, len(panels))
    if len(panels) > 1:
        figure.suptitle(heading, fontsize=12)
    alt = f"{DRAWS} actions of the flow of {name} on {task.id} for uniform latents, {view.describe()}: "
    return Picture(save_png(figure), "png", f"{alt}{' / '.join(valid)} of them valid at tolerance 0.")


def make_panels(view: View, extra: float = 0.0) -> tuple[Figure, Sequence[Axes]]:
    """A figure with one panel per state on the same axes, and ``extra`` inches for a heading."""
    count = len(view.states)
    with mpl.rc_context(SETTINGS):
        side = ONE_PANEL if count == 1 else OF_THREE
        figure = Figure(figsize=(side * count + 0.8, side + 1.1 + extra), layout="compressed")
        panels = list(figure.subplots(1, count, squeeze=False, sharey=True)[0])
        first, second = (shorten(name) for name in view.plane.names())
        for panel, obs in zip(panels, view.states, strict=True):
            panel.set_xlim(float(view.lower[0]), float(view.upper[0]))
            panel.set_ylim(float(view.lower[1]), float(view.upper[1]))
            panel.set_aspect("equal")
            panel.locator_params(nbins=4)
            panel.set_xlabel(first)
            panel.set_title(title_of(view, obs))
        panels[0].set_ylabel(second)
    return figure, panels


def shorten(name: str) -> str:
    """The name of a group of coordinates with its middle left out."""
    parts = name.split(" = ")
    return name if len(parts) < FEW else f"{parts[0]} = … = {parts[-1]}"


def title_of(view: View, obs: Tensor) -> str:
    """The variables of a state (o,) if they are few, else the feasible share of the plane."""
    variables = view.task.constraint.context(obs[None])[0].round(decimals=1).tolist()
    if not variables:
        return ""
    if len(variables) > FEW:
        return f"{share(view.plane, obs[None], FINE):.0%} feasible"
    # Adding 0.0 turns a rounded -0.0 into 0.
    return f"s = ({', '.join(f'{value + 0.0:g}' for value in variables)})"


def draw_region(panel: Axes, view: View, obs: Tensor) -> QuadContourSet:
    """Fill the feasible region at ``obs`` (1, o), frame the action box, and dot whole allocations."""
    points = grid(view.lower, view.upper, FINE)
    worst = view.plane.violation(points, obs).reshape(FINE, FINE).numpy()
    across, up = points[:FINE, 0].numpy(), points[::FINE, 1].numpy()
    # Contourf fills nothing below its lowest level.
    levels = [min(float(worst.min()), 0.0) - 1.0, 0.0]
    region = panel.contourf(across, up, worst, levels=levels, colors=[FEASIBLE])
    panel.contour(across, up, worst, levels=[0.0], colors=[EDGE], linewidths=1.0)
    low, high = view.plane.box()
    width, height = (high - low).tolist()
    panel.add_patch(
        Rectangle((float(low[0]), float(low[1])), width, height, fill=False, linestyle=":", edgecolor="0.4")
    )
    if isinstance(view.task.constraint, Allocation):
        whole = grid(low, high, round(width) + 1)
        draw_points(panel, whole[view.plane.violation(whole, obs) <= 0], ".", EDGE, 3.5)
    return region


def draw_repairs(panel: Axes, view: View, obs: Tensor, generator: torch.Generator) -> int:
    """Draw infeasible actions and arrows to the actions executed instead; return the number of arrows.

    If an executed action lies outside the plane, no arrows are drawn.
    """
    field = grid(torch.zeros(2), torch.full((2,), 1 - 1 / FIELDS), FIELDS)
    jitter = (0.15 + 0.7 * torch.rand(field.shape, generator=generator, dtype=torch.float64)) / FIELDS
    size = view.upper - view.lower
    points = view.lower + (field + jitter) * size
    actions = view.plane.actions(points, obs)
    repaired = view.task.constraint.repair(actions, obs.expand(len(actions), -1))
    far = (repaired - actions).norm(dim=1) > SHORTEST * float(size.max())
    points, repaired = points[far], repaired[far]
    ends = view.plane.coordinates(repaired)
    draw_points(panel, points, "x", INFEASIBLE, 7)
    if bool(((view.plane.actions(ends, obs) - repaired).abs() > NEAR * float(size.max())).any()):
        return 0
    arrow = {"arrowstyle": "-|>", "color": REPAIRED, "linewidth": 1.4, "shrinkA": 3, "shrinkB": 0}
    for start, end in zip(points.tolist(), ends.tolist(), strict=True):
        panel.annotate("", end, start, arrowprops=arrow)
    return len(points)


def draw_points(panel: Axes, points: Tensor, marker: str, colour: object, size: float) -> None:
    """Draw points (B, 2)."""
    width = size / 4 if marker == "x" else 0
    panel.plot(
        *points.T.numpy(), marker=marker, color=colour, markersize=size, markeredgewidth=width, linestyle="", zorder=3
    )


def add_legend(figure: Figure, handles: Sequence[Patch | Line2D], panels: int) -> None:
    """A legend below the panels, in two columns below a single panel."""
    with mpl.rc_context(SETTINGS):
        figure.legend(
            handles=handles, loc="outside lower center", ncols=len(handles) if panels > 1 else 2, frameon=False
        )


def save_png(figure: Figure) -> bytes:
    """A figure as the bytes of a small PNG, without date or version."""
    buffer = io.BytesIO()
    with mpl.rc_context(SETTINGS):
        figure.savefig(buffer, format="png", dpi=DPI)
    small = io.BytesIO()
    with Image.open(buffer) as image:
        image.convert("RGB").quantize(PALETTE, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            small, format="png", optimize=True
        )
    return small.getvalue()
