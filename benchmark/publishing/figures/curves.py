"""Figures of one profile, as SVG and PNG: learning curves, cumulative violations, and where the time went."""

from __future__ import annotations

import io
import math
import zlib
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator
from matplotlib.typing import RcKeyType

from benchmark.analysis.curves import Curves
from benchmark.analysis.leaderboard import Leaderboard
from benchmark.analysis.summaries import different_machines, part_seconds, total
from benchmark.publishing.figures.leaderboard import LEADERBOARD, draw_leaderboard
from benchmark.publishing.figures.styles import PART_COLOURS, SEEDS_FOR_BAND, add_legend, style_of
from benchmark.records.files import write_bytes
from benchmark.records.results import PARTS
from benchmark.records.selection import Selection

SPREAD = (
    "Thick line: mean over seeds. Thin lines: single seeds. Band: 95% interval of Student's t, at each step by itself, "
    f"from {SEEDS_FOR_BAND} seeds on (that of two would cover the panel; the tables give it at the end of training). "
    "Axes follow the single seeds, and cut off a wider band."
)
FIGURES = {
    "leaderboard": LEADERBOARD,
    "learning": f"Evaluation return of the policy without noise, over training. {SPREAD}",
    "violations": (
        "Cumulative number of the policy's outputs, before noise and repair, that missed C(s) (tolerance 0). The axis "
        f"is linear up to 10 and logarithmic above. {SPREAD}"
    ),
    "time": (
        "Wall-clock of training without evaluation, mean over the complete runs (in brackets: of how many wanted). "
        "Prepare is the work before training, such as a flow's; other is the harness itself."
    ),
}
LINEAR_UP_TO = 10
# No dates and no versions: the same numbers give the same bytes.
METADATA: dict[str, dict[str, Any]] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
SETTINGS: dict[RcKeyType, Any] = {
    # Without a salt the ids in an SVG are random, and the same results would give another file each time.
    "svg.hashsalt": "acrl",
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


def write_figures(board: Leaderboard, folder: Path) -> list[Path]:
    """Draw every figure of a profile below ``folder`` (``results/<profile>``).

    The same results give the same bytes.

    Returns:
        The files written.

    Raises:
        UserError: If a file cannot be written.
    """
    draw = {
        "leaderboard": draw_leaderboard,
        "learning": draw_learning,
        "violations": draw_violations,
        "time": draw_time,
    }
    paths = []
    with sns.axes_style("whitegrid"), sns.plotting_context("paper"), mpl.rc_context(SETTINGS):
        for name in FIGURES:
            for kind, content in save_figure(draw[name](board)).items():
                paths.append(folder / "figures" / f"{name}.{kind}")
                write_bytes(paths[-1], content)
    return paths


def save_figure(figure: Figure) -> dict[str, bytes]:
    """A figure as the bytes of an SVG and of a PNG, without dates and versions."""
    # Laying out panels takes as long as drawing them, so that it is done once for both files.
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    files = {}
    for kind, metadata in METADATA.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, dpi=150, metadata=metadata)
        files[kind] = buffer.getvalue()
    return files


def draw_learning(board: Leaderboard) -> Figure:
    """Evaluation returns against steps, a panel a task."""
    figure, panels = make_panels(board.found, "Learning curves")
    for task, panel in panels.items():
        draw_curves(panel, board, board.learning, task)
    label_outer(board.found, panels, "environment steps", "return of an episode")
    figure.align_ylabels()
    add_method_legend(figure, board.found)
    return figure


def draw_violations(board: Leaderboard) -> Figure:
    """Cumulative violations of the policy's output against steps, a panel a task."""
    figure, panels = make_panels(board.found, "Cumulative violations of the policy's output (tolerance 0)")
    for task, panel in panels.items():
        highest = draw_curves(panel, board, board.missed, task)
        panel.set_yscale("symlog", linthresh=LINEAR_UP_TO)
        panel.set_ylim(0, max(2 * highest, LINEAR_UP_TO))
    label_outer(board.found, panels, "environment steps", "violations so far")
    figure.align_ylabels()
    add_method_legend(figure, board.found)
    return figure


def draw_curves(panel: Axes, board: Leaderboard, curves: Curves, task: str) -> float:
    """Draw one curve a method with its band and its single seeds; give back the highest value of a single seed."""
    highest, lowest = -math.inf, math.inf
    for method in board.found.methods:
        seeds, means = curves.of(task, method)
        if means.empty:
            continue
        style, several = style_of(method), len(board.found.runs(task, method)) >= SEEDS_FOR_BAND
        for _, one in seeds.groupby("seed"):
            panel.plot(one["step"], one["value"], color=style.colour, linewidth=0.6, alpha=0.25 if several else 0.6)
        (line,) = panel.plot(means["step"], means["mean"], color=style.colour, linewidth=1.8, linestyle=style.dashes)
        line.set(marker=style.marker, markersize=5, markevery=mark_every(method, len(means)))
        line.set(markeredgecolor="white", markeredgewidth=0.75)
        if several:
            low, high = (means[end].fillna(means["mean"]) for end in ("low", "high"))
            panel.fill_between(means["step"], low, high, color=style.colour, alpha=0.2, linewidth=0)
        lowest, highest = min(lowest, seeds["value"].min()), max(highest, seeds["value"].max())
    if math.isinf(highest):
        lowest = highest = 0.0
    margin = 0.06 * (highest - lowest) or 1.0
    panel.set_ylim(lowest - margin, highest + margin)
    return highest


def mark_every(method: str, length: int) -> tuple[int, int]:
    """First marker and distance of markers: few enough to tell them apart, and not all at the same steps."""
    distance = max(length // 5, 1)
    return zlib.crc32(method.encode()) % distance, distance


def draw_time(board: Leaderboard) -> Figure:
    """Seconds of training by part, a panel a task and a stacked bar a method."""
    found = board.found
    figure, panels = make_panels(
        found, "Wall-clock of training without evaluation: mean over complete runs (complete/wanted)"
    )
    first_column = list(panels.values())[:: panels_in_a_row(found)]
    for task, panel in panels.items():
        ends = [draw_bar(panel, row, found, task, method) for row, method in enumerate(found.methods)]
        # Room for the text at the end of the longest bar.
        panel.set_xlim(0, 1.6 * max(ends, default=0.0) or 1.0)
        if different_machines(found.of_task(task)):
            panel.set_title(f"{panel.get_title()}\ndifferent machines: times do not compare", fontsize=9)
        named = panel in first_column
        panel.set_yticks(range(len(found.methods)), found.methods if named else [""] * len(found.methods))
        panel.set_ylim(len(found.methods) - 0.5, -0.5)
        panel.grid(visible=False, axis="y")
        panel.xaxis.set_major_locator(MaxNLocator(5))
    label_outer(found, panels, "seconds", "")
    handles = [Patch(color=PART_COLOURS[part], label=part) for part in PARTS]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def draw_bar(panel: Axes, row: int, found: Selection, task: str, method: str) -> float:
    """Draw the stacked bar of one method, and give back its length."""
    runs = found.runs(task, method)
    if not runs:
        panel.text(0, row, f" no complete run (0/{len(found.seeds)})", va="center", fontsize=9)
        return 0.0
    end = 0.0
    for part in PARTS:
        width = float(np.mean([max(part_seconds(run, part), 0.0) for run in runs]))
        panel.barh(row, width, left=end, height=0.7, color=PART_COLOURS[part], linewidth=0)
        end += width
    mean = float(np.mean([total(run) for run in runs]))
    text = f"{mean:,.0f} s" if mean >= 10 else f"{mean:.2g} s"
    panel.text(end, row, f" {text} ({len(runs)}/{len(found.seeds)})", va="center", fontsize=9)
    return end


def shown(found: Selection) -> tuple[str, ...]:
    """Tasks that have a panel: those with a run, all where there is none at all."""
    return found.begun() or found.tasks


def panels_in_a_row(found: Selection) -> int:
    """Panels side by side: three, but two where that fills both rows."""
    return 2 if len(shown(found)) == 4 else max(min(len(shown(found)), 3), 1)


def make_panels(found: Selection, title: str) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each task, which states profile, budget and seeds."""
    columns = panels_in_a_row(found)
    rows = max(math.ceil(len(shown(found)) / columns), 1)
    figure = Figure(figsize=(max(3.7 * columns, 7.5), 2.8 * rows + 1.2), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    panels = dict(zip(shown(found), grid, strict=False))
    for unused in grid[len(shown(found)) :]:
        unused.set_visible(False)
    for task, panel in panels.items():
        runs, wanted, steps = len(found.of_task(task)), len(found.methods) * len(found.seeds), found.steps(task)
        missing = "" if runs == wanted else f" ({runs} of {wanted} runs)"
        panel.set_title(f"{task}: {steps:,} steps{missing}" if steps else f"{task}: no complete run")
        if not runs:
            panel.set_axis_off()
    seeds = ", ".join(str(seed) for seed in found.seeds)
    figure.suptitle(f"{title}\nprofile {found.profile}, seeds {seeds}", fontsize=12)
    return figure, panels


def label_outer(found: Selection, panels: dict[str, Axes], x: str, y: str) -> None:
    """Label the axes once a column and once a row, and write steps as 10 k or 1 M."""
    columns = panels_in_a_row(found)
    for index, panel in enumerate(panels.values()):
        first, last = index % columns == 0, index + columns >= len(shown(found))
        panel.set_xlabel(x if last else "")
        panel.set_ylabel(y if first else "")
        if x == "environment steps":
            panel.xaxis.set_major_formatter(EngFormatter())
            panel.xaxis.set_major_locator(MaxNLocator(5))


def add_method_legend(figure: Figure, found: Selection) -> None:
    """A legend of the methods that are drawn, below the panels."""
    methods = [method for method in found.methods if any(found.runs(task, method) for task in shown(found))]
    if methods:
        add_legend(figure, methods, columns=4 if panels_in_a_row(found) == 3 else 3)
