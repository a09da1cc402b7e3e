"""The picture of the leaderboard: scores, validity of the last policy, and performance profiles."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.analysis.leaderboard import ALL_TASKS, Leaderboard
from benchmark.publishing.figures.styles import SEEDS_FOR_BAND, add_legend, style_of
from benchmark.records.results import TOLERANCES

LEADERBOARD = (
    "Left: score over all tasks (interquartile mean of the runs; 0: random feasible actions, 1: the learner without "
    "the constraint) with its 95% interval. Middle: share of the last policy's own outputs that are valid at each "
    "tolerance, mean over all tasks with runs (those of bike sharing have an equality, which outputs of methods that "
    "do not know of it miss at tolerance 0). Right: share of runs with a score above each threshold, with 95% bands at "
    f"each threshold by itself from {SEEDS_FOR_BAND} seeds on."
)


def draw_leaderboard(board: Leaderboard) -> Figure:
    """Three panels of all tasks together; they say so where no method has a run of every task."""
    found, methods, frame = board.found, board.ranked_methods, board.frame
    whole = frame[frame["task"] == ALL_TASKS]
    height = 0.42 * max(len(methods), 3) + 2.4
    figure = Figure(figsize=(11.5, height), layout="constrained")
    score, valid, profile = figure.subplots(1, 3)
    seeds = ", ".join(str(seed) for seed in found.seeds)
    tasks = ", ".join(board.scored_tasks) or "none yet"
    others = [method for method in found.methods if method not in methods]
    missing = f"; not ranked, lacking runs: {', '.join(others)}" if methods and others else ""
    figure.suptitle(f"Leaderboard, scores over {tasks}\nprofile {found.profile}, seeds {seeds}{missing}", fontsize=12)
    if not methods:
        for panel in (score, valid, profile):
            panel.set_axis_off()
        score.text(0, 0.5, "no method has runs of every task yet")
        return figure
    rows = whole[(whole["quantity"] == "score")].set_index("method").sort_values("mean", ascending=False)
    draw_scores(score, rows)
    draw_validity(valid, whole[whole["quantity"] == "final valid share"], list(rows.index))
    draw_profiles(profile, board, list(rows.index))
    add_legend(figure, list(rows.index))
    return figure


def draw_scores(panel: Axes, rows: pd.DataFrame) -> None:
    """A point and an interval a method, the highest on top."""
    for place, (method, row) in enumerate(rows.iterrows()):
        style = style_of(str(method))
        if pd.notna(row["low"]):
            panel.plot([row["low"], row["high"]], [place, place], color=style.colour, linewidth=2)
        panel.plot(row["mean"], place, color=style.colour, marker=style.marker, markersize=7)
    panel.set_yticks(range(len(rows)), [str(method) for method in rows.index])
    panel.set_ylim(len(rows) - 0.5, -0.5)
    panel.set_xlabel("score")


def draw_validity(panel: Axes, frame: pd.DataFrame, methods: list[str]) -> None:
    """A line a method over the tolerances, on an axis of the share that is not valid."""
    places = range(len(TOLERANCES))
    for method in methods:
        style = style_of(method)
        shares = frame[frame["method"] == method].sort_values("tolerance")["mean"]
        panel.plot(places, 100 * shares, color=style.colour, marker=style.marker, linestyle=style.dashes)
    panel.set_xticks(places, [f"{tolerance:g}" for tolerance in TOLERANCES])
    panel.set_ylim(-3, 103)
    panel.set_xlabel("tolerance")
    panel.set_ylabel("valid outputs of the last policy [%]")


def draw_profiles(panel: Axes, board: Leaderboard, methods: list[str]) -> None:
    """A falling curve a method, with its band."""
    for method in methods:
        style = style_of(method)
        points = [threshold for threshold, _ in board.profiles[method]]
        curve = [estimate for _, estimate in board.profiles[method]]
        share = [estimate.mean or 0.0 for estimate in curve]
        panel.plot(points, share, color=style.colour, linestyle=style.dashes, linewidth=1.8)
        if len(board.found.seeds) < SEEDS_FOR_BAND:
            continue
        ends = [(e.mean if e.low is None else e.low, e.mean if e.high is None else e.high) for e in curve]
        low, high = zip(*ends, strict=True)
        panel.fill_between(points, low, high, color=style.colour, alpha=0.12, linewidth=0)
    panel.set_ylim(-0.03, 1.03)
    panel.set_xlabel("score above")
    panel.set_ylabel("share of runs")
