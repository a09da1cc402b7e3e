"""Figures of one profile: the leaderboard, learning curves, cumulative violations, and where the time went."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, MaxNLocator

from benchmark.analysis.leaderboard import ALL_TASKS, Leaderboard
from benchmark.analysis.summaries import Curves, different_machines, part_seconds, total
from benchmark.publishing.figures import styles
from benchmark.records.files import write_bytes
from benchmark.records.results import PARTS, TOLERANCES
from benchmark.records.runs import IDLE_METHOD
from benchmark.records.selection import Selection

SPREAD = (
    "Thick lines are means over seeds, thin lines single seeds, and bands pointwise 95% confidence intervals, shown "
    f"from {styles.SEEDS_FOR_BAND} seeds on and cut off where they exceed the axes."
)
FIGURES = {
    "leaderboard": (
        "Left: interquartile mean of the scores over all tasks with its 95% confidence interval; middle: share of the "
        "last policy's own outputs that are valid at each tolerance; right: share of runs with a score above each "
        f"threshold, with pointwise 95% bands from {styles.SEEDS_FOR_BAND} seeds on. A score of 0 is the return of "
        "random feasible actions and 1 that of DDPG without the constraint."
    ),
    "learning": (
        "Evaluation return of the policy without noise during training; the level line is "
        f"{IDLE_METHOD}, the feasible action nearest to doing nothing. {SPREAD}"
    ),
    "violations": (
        "Cumulative number of infeasible outputs of the policy, before noise and repair (tolerance 0), on an axis that "
        f"is linear up to 10 and logarithmic above. {SPREAD}"
    ),
    "time": (
        "Wall-clock of training without evaluation: the mean over complete runs, with their number in brackets. "
        "Prepare is the work before training, such as training a flow, and other is the harness itself."
    ),
}
LINEAR_UP_TO = 10


def write_figures(board: Leaderboard, folder: Path) -> list[Path]:
    """Draw every figure of a profile below ``folder`` (``results/<profile>``), and return their paths.

    The same results give the same bytes.

    Raises:
        UserError: If a file cannot be written.
    """
    drawings = (draw_leaderboard, draw_learning, draw_violations, draw_time)
    paths = []
    with sns.axes_style("whitegrid"), sns.plotting_context("paper"), mpl.rc_context(styles.SETTINGS):
        for name, draw in zip(FIGURES, drawings, strict=True):
            for kind, content in styles.save_figure(draw(board)).items():
                paths.append(folder / "figures" / f"{name}.{kind}")
                write_bytes(paths[-1], content)
    return paths


def draw_leaderboard(board: Leaderboard) -> Figure:
    """Three panels for all tasks together, or a note if no method has runs of every task."""
    found, methods, frame = board.found, board.ranked_methods, board.frame
    whole = frame[frame["task"] == ALL_TASKS]
    height = 0.42 * max(len(methods), 3) + 2.4
    figure = Figure(figsize=(11.5, height), layout="constrained")
    score, valid, profile = figure.subplots(1, 3)
    seeds = ", ".join(str(seed) for seed in found.seeds)
    tasks = ", ".join(board.scored_tasks) or "none yet"
    others = [method for method in found.methods if method not in methods]
    missing = f"; not ranked, lacking runs: {', '.join(others)}" if methods and others and found.ranked else ""
    figure.suptitle(f"Leaderboard, scores over {tasks}\nprofile {found.label}, seeds {seeds}{missing}", fontsize=12)
    if not methods:
        for panel in (score, valid, profile):
            panel.set_axis_off()
        missing = "no method has equally many runs of every task yet" if board.scored_tasks else "no task has scores"
        score.text(0, 0.5, missing)
        return figure
    rows = whole[(whole["quantity"] == "score") & whole["method"].isin(methods)].set_index("method")
    if found.ranked:
        rows = rows.sort_values("mean", ascending=False)
    draw_scores(score, rows)
    draw_validity(valid, whole[whole["quantity"] == "final valid share"], list(rows.index))
    draw_profiles(profile, board, list(rows.index))
    styles.add_legend(figure, list(rows.index))
    return figure


def draw_scores(panel: Axes, rows: pd.DataFrame) -> None:
    """One point with its interval per method, the highest on top."""
    for place, (method, row) in enumerate(rows.iterrows()):
        style = styles.style_of(str(method))
        if pd.notna(row["low"]):
            panel.plot([row["low"], row["high"]], [place, place], color=style.colour, linewidth=2)
        panel.plot(row["mean"], place, color=style.colour, marker=style.marker, markersize=7)
    panel.set_yticks(range(len(rows)), [str(method) for method in rows.index])
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_xlabel("score")


def draw_validity(panel: Axes, frame: pd.DataFrame, methods: list[str]) -> None:
    """One line per method over the tolerances."""
    places = range(len(TOLERANCES))
    for method in methods:
        style = styles.style_of(method)
        shares = frame[frame["method"] == method].sort_values("tolerance")["mean"]
        panel.plot(places, 100 * shares, color=style.colour, marker=style.marker, linestyle=style.dashes)
    panel.set_xticks(places, [f"{tolerance:g}" for tolerance in TOLERANCES])
    panel.set_ylim(-3, 103)
    panel.set_xlabel("tolerance")
    panel.set_ylabel("valid outputs of the last policy [%]")


def draw_profiles(panel: Axes, board: Leaderboard, methods: list[str]) -> None:
    """One falling curve per method, with its band."""
    for method in methods:
        style = styles.style_of(method)
        points, curve = zip(*board.profiles[method], strict=True)
        means = [estimate.mean or 0.0 for estimate in curve]
        panel.plot(points, means, color=style.colour, linestyle=style.dashes, linewidth=1.8)
        if board.seeds_of(method) < styles.SEEDS_FOR_BAND:
            continue
        low, high = zip(*(estimate.band for estimate in curve), strict=True)
        panel.fill_between(points, low, high, color=style.colour, alpha=0.12, linewidth=0)
    panel.set_ylim(-0.03, 1.03)
    panel.set_xlabel("score above")
    panel.set_ylabel("share of runs")


def draw_learning(board: Leaderboard) -> Figure:
    """Evaluation returns against steps, one panel per task."""
    return draw_training(board, board.learning, "Learning curves", "return of an episode")


def draw_violations(board: Leaderboard) -> Figure:
    """Cumulative violations of the policy's output against steps, one panel per task."""
    title = "Cumulative violations of the policy's output (tolerance 0)"
    return draw_training(board, board.missed, title, "violations so far", counts=True)


def draw_training(board: Leaderboard, curves: Curves, title: str, y: str, counts: bool = False) -> Figure:
    """Curves against steps, one panel per task; the axis of counts is linear near 0 and logarithmic above."""
    figure, panels = make_panels(board.found, title)
    for task, panel in panels.items():
        highest = draw_curves(panel, board, curves, task)
        if counts:
            panel.set_yscale("symlog", linthresh=LINEAR_UP_TO)
            panel.set_ylim(0, max(2 * highest, LINEAR_UP_TO))
    label_outer(board.found, panels, "environment steps", y)
    figure.align_ylabels()
    add_method_legend(figure, board.found, curves)
    return figure


def draw_curves(panel: Axes, board: Leaderboard, curves: Curves, task: str) -> float:
    """Draw one curve per method with its band and its single seeds; return the highest value of a single seed."""
    highest, lowest = -math.inf, math.inf
    for method in dict.fromkeys([*board.found.methods, IDLE_METHOD]):
        seeds, means = curves.of(task, method)
        if means.empty:
            continue
        style, several = styles.style_of(method), len(board.found.runs(task, method)) >= styles.SEEDS_FOR_BAND
        for _, one in seeds.groupby("seed"):
            panel.plot(one["step"], one["value"], color=style.colour, linewidth=0.6, alpha=0.25 if several else 0.6)
        (line,) = panel.plot(means["step"], means["mean"], color=style.colour, linewidth=1.8, linestyle=style.dashes)
        line.set(marker=style.marker, markersize=5, markevery=mark_every(method, len(means)))
        line.set(markeredgecolor="white", markeredgewidth=0.75)
        if several:
            low, high = (means[end].fillna(means["mean"]) for end in ("low", "high"))
            panel.fill_between(means["step"], low, high, color=style.colour, alpha=0.2, linewidth=0)
        # A level line has no seeds.
        values = means["mean"] if seeds.empty else seeds["value"]
        lowest, highest = min(lowest, values.min()), max(highest, values.max())
    if math.isinf(highest):
        lowest = highest = 0.0
    margin = 0.06 * (highest - lowest) or 1.0
    panel.set_ylim(lowest - margin, highest + margin)
    return highest


def mark_every(method: str, length: int) -> tuple[int, int]:
    """The first marker and the distance between markers: few of them, and not at the same steps for all methods."""
    distance = max(length // 5, 1)
    return zlib.crc32(method.encode()) % distance, distance


def draw_time(board: Leaderboard) -> Figure:
    """Seconds of training by part: one panel per task, one stacked bar per method."""
    found = board.found
    title = "Wall-clock of training without evaluation: mean over complete runs (complete/wanted)"
    # The names of many methods need more room.
    figure, panels = make_panels(found, title, max(2.8, 0.5 + 0.17 * len(found.methods)))
    first_column = list(panels.values())[:: panels_in_a_row(found)]
    for task, panel in panels.items():
        ends = [draw_bar(panel, row, found, task, method) for row, method in enumerate(found.methods)]
        # Room for the text at the end of the longest bar.
        panel.set_xlim(0, 1.6 * max(ends, default=0.0) or 1.0)
        if different_machines(found.of_task(task)):
            panel.set_title(f"{panel.get_title()}\nmachines may differ: times do not compare", fontsize=9)
        named = panel in first_column
        panel.set_yticks(range(len(found.methods)), found.methods if named else [""] * len(found.methods))
        panel.set_ylim(len(found.methods) - 0.5, -0.5)
        panel.grid(visible=False, axis="y")
        panel.xaxis.set_major_locator(MaxNLocator(5))
    label_outer(found, panels, "seconds", "")
    handles = [Patch(color=styles.PART_COLOURS[part], label=part) for part in PARTS]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def draw_bar(panel: Axes, row: int, found: Selection, task: str, method: str) -> float:
    """Draw the stacked bar of one method and return its length."""
    runs = found.runs(task, method)
    if not runs:
        text = f" no complete run (0/{len(found.seeds)})" if found.wanted(task, method) else " only timed"
        panel.text(0, row, text, va="center", fontsize=9)
        return 0.0
    end = 0.0
    for part in PARTS:
        width = float(np.mean([max(part_seconds(run, part), 0.0) for run in runs]))
        panel.barh(row, width, left=end, height=0.7, color=styles.PART_COLOURS[part], linewidth=0)
        end += width
    mean = float(np.mean([total(run) for run in runs]))
    text = f"{mean:,.0f} s" if mean >= 10 else f"{mean:.2g} s"
    panel.text(end, row, f" {text} ({len(runs)}/{len(found.seeds)})", va="center", fontsize=9)
    return end


def shown(found: Selection) -> tuple[str, ...]:
    """The tasks with a panel: those with a run, or all tasks if there are no runs."""
    return found.begun() or found.tasks


def panels_in_a_row(found: Selection) -> int:
    """Panels side by side: three, or two for four tasks, which fills both rows."""
    return 2 if len(shown(found)) == 4 else max(min(len(shown(found)), 3), 1)


def make_panels(found: Selection, title: str, height: float = 2.8) -> tuple[Figure, dict[str, Axes]]:
    """A figure with a panel for each task, ``height`` inches high, which states profile, budget and seeds."""
    columns = panels_in_a_row(found)
    rows = max(math.ceil(len(shown(found)) / columns), 1)
    figure = Figure(figsize=(max(3.7 * columns, 7.5), height * rows + 1.2), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).flatten()
    panels = dict(zip(shown(found), grid, strict=False))
    for unused in grid[len(shown(found)) :]:
        unused.set_visible(False)
    for task, panel in panels.items():
        runs, steps = len(found.of_task(task)), found.steps(task)
        wanted = sum(found.wanted(task, method) for method in found.methods)
        missing = "" if runs == wanted else f" ({runs} of {wanted} runs)"
        panel.set_title(f"{task}: {steps:,} steps{missing}" if steps else f"{task}: no complete run")
        if not runs:
            panel.set_axis_off()
    seeds = ", ".join(str(seed) for seed in found.seeds)
    figure.suptitle(f"{title}\nprofile {found.label}, seeds {seeds}", fontsize=12)
    return figure, panels


def label_outer(found: Selection, panels: dict[str, Axes], x: str, y: str) -> None:
    """Label the outer axes only, and write steps as 10 k or 1 M."""
    columns = panels_in_a_row(found)
    for index, panel in enumerate(panels.values()):
        first, last = index % columns == 0, index + columns >= len(shown(found))
        panel.set_xlabel(x if last else "")
        panel.set_ylabel(y if first else "")
        if x == "environment steps":
            panel.xaxis.set_major_formatter(EngFormatter())
            panel.xaxis.set_major_locator(MaxNLocator(5))


def add_method_legend(figure: Figure, found: Selection, curves: Curves) -> None:
    """A legend of the methods that are drawn, below the panels."""
    names = dict.fromkeys([*found.methods, IDLE_METHOD])
    methods = [name for name in names if any(len(curves.of(task, name)[1]) for task in shown(found))]
    if methods:
        styles.add_legend(figure, methods, columns=4 if panels_in_a_row(found) == 3 else 3)
