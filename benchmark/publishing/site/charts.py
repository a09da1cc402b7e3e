"""Interactive charts of the report as Vega-Lite: plain data, which the page draws without a network.

Channels are objects: Altair checks a string against its schema, which takes longer than everything else.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd
from matplotlib.colors import to_hex

from benchmark.analysis.leaderboard import ALL_TASKS, Leaderboard
from benchmark.analysis.summaries import Curves, different_machines, part_seconds
from benchmark.analysis.timing import STEP_PARTS
from benchmark.publishing.figures import LINEAR_UP_TO
from benchmark.publishing.figures.styles import PART_COLOURS, SEEDS_FOR_BAND, style_of
from benchmark.records.results import PARTS, TOLERANCES
from benchmark.records.runs import IDLE_METHOD
from benchmark.records.selection import Selection

Spec = dict[str, Any]
# Matplotlib's markers as Vega calls them.
SHAPES = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "D": "diamond",
    "v": "triangle-down",
    "<": "triangle-left",
    ">": "triangle-right",
    "d": "M0,-1L0.5,0L0,1L-0.5,0Z",
    "H": "M1,0L0.5,0.87L-0.5,0.87L-1,0L-0.5,-0.87L0.5,-0.87Z",
    "P": "cross",
    "X": "M-1,-0.6L-0.6,-1L0,-0.4L0.6,-1L1,-0.6L0.4,0L1,0.6L0.6,1L0,0.4L-0.6,1L-1,0.6L-0.4,0Z",
    "*": "M0,-1L0.6,0.8L-0.95,-0.3L0.95,-0.3L-0.6,0.8Z",
    "p": "M0,-1L0.95,-0.3L0.6,0.8L-0.6,0.8L-0.95,-0.3Z",
    "h": "M0,-1L0.87,-0.5L0.87,0.5L0,1L-0.87,0.5L-0.87,-0.5Z",
}
OTHER_SHAPE = "wedge"
HEIGHT = 280
# Name of the data of the charts of return against validity.
POINTS = "points"


def method_colour(methods: Sequence[str], legend: alt.Legend | None) -> alt.Color:
    """The colour of each method, as in every other figure; doing nothing has the colour of the page's text."""
    colours = ["var(--ink)" if method == IDLE_METHOD else to_hex(style_of(method).colour) for method in methods]
    return alt.Color("method:N", scale=alt.Scale(domain=list(methods), range=colours), legend=legend)


def method_shape(methods: Sequence[str], legend: alt.Legend | None) -> alt.Shape:
    """The marker of each method, for readers who cannot tell colours apart."""
    marks = [SHAPES.get(style_of(method).marker, OTHER_SHAPE) for method in methods]
    return alt.Shape("method:N", scale=alt.Scale(domain=list(methods), range=marks), legend=legend)


def finish(chart: alt.Chart | alt.LayerChart | alt.FacetChart, description: str) -> Spec:
    """A chart as plain data, as wide as its container, with a description for screen readers."""
    spec: Spec = chart.properties(width="container", height=HEIGHT, description=description).to_dict(validate=False)
    spec.pop("config", None)
    return spec


def with_ends(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with intervals of width zero where they are missing: a chart of gaps alone has no scale."""
    known = frame.astype({"mean": float, "low": float, "high": float})
    return known.assign(low=known["low"].fillna(known["mean"]), high=known["high"].fillna(known["mean"]))


def score_chart(board: Leaderboard, described: str) -> Spec:
    """Score over all tasks with its interval, the highest on top if methods are ranked."""
    frame, methods = board.frame, board.ranked_methods
    rows = frame[(frame["task"] == ALL_TASKS) & (frame["quantity"] == "score")]
    data = with_ends(rows[["method", "mean", "low", "high"]])
    if board.found.ranked:
        data = data.sort_values("mean", ascending=False)
    base = alt.Chart(data).encode(y=alt.Y("method:N", sort=None, title=None, axis=alt.Axis(labelLimit=200)))
    colour = method_colour(methods, None)
    tooltip = [alt.Tooltip("method:N"), *(alt.Tooltip(f"{end}:Q", format=".3f") for end in ("mean", "low", "high"))]
    x = alt.X("low:Q", title="score").scale(zero=False, padding=12)
    rule = base.mark_rule(strokeWidth=3, aria=False).encode(x=x, x2=alt.X2("high:Q"), color=colour, tooltip=tooltip)
    dot = base.mark_point(filled=True, size=110, opacity=1)
    dot = dot.encode(x=alt.X("mean:Q"), color=colour, shape=method_shape(methods, None), tooltip=tooltip)
    return finish(rule + dot, described)


def profile_chart(board: Leaderboard, described: str) -> Spec:
    """Share of runs above each score."""
    rows = [
        (method, threshold, share.mean, *(share.band if board.seeds_of(method) >= SEEDS_FOR_BAND else (None, None)))
        for method, profile in board.profiles.items()
        for threshold, share in profile
    ]
    data = pd.DataFrame(rows, columns=["method", "score", "share", "low", "high"])
    chart = _curves(data, board.ranked_methods, "score", "share", "score above", "share of runs")
    return finish(chart, described)


def pareto_charts(frame: pd.DataFrame, methods: Sequence[str], described: str) -> dict[str, Spec]:
    """Final return against the share of the last policy's outputs that are valid, with intervals, by tolerance.

    Args:
        frame: The tidy frame of one task.
        methods: Methods to show, in order.
        described: Description for screen readers, without the tolerance.
    """
    final = frame[frame["quantity"] == "final return"]
    returns = with_ends(final).set_index("method")[["mean", "low", "high"]]
    valid = frame[frame["quantity"] == "final valid share"]
    shown = [method for method in methods if method in set(valid.dropna(subset=["mean"])["method"])]
    chart = finish(_pareto(shown), described)
    charts = {}
    for tolerance in TOLERANCES:
        shares = with_ends(valid[valid["tolerance"] == tolerance]).set_index("method")[["mean", "low", "high"]]
        data = returns.join(shares.add_prefix("valid_")).dropna(subset=["mean", "valid_mean"]).reset_index()
        # A share is never below 0 or above 1, whatever margin the points want.
        ends = [0.0, 1.0] if data.empty else [data["valid_low"].min() - 0.02, data["valid_high"].max() + 0.02]
        # The same chart with other numbers: checking it again against its schema takes longer than everything else.
        spec = copy.deepcopy(chart)
        spec["datasets"] = {POINTS: data.to_dict("records")}
        spec["description"] = f"{described} Tolerance {tolerance:g}."
        x = spec["layer"][-1]["encoding"]["x"]
        x["title"], x["scale"]["domain"] = f"valid at tolerance {tolerance:g}", [max(ends[0], 0.0), min(ends[1], 1.0)]
        charts[f"{tolerance:g}"] = spec
    return charts


def _pareto(methods: Sequence[str]) -> alt.LayerChart | alt.FacetChart:
    base = alt.Chart(alt.NamedData(POINTS)).encode(color=method_colour(methods, _legend()))
    x = alt.X("valid_mean:Q", title="").axis(format="%").scale(domain=[0.0, 1.0], nice=False, zero=False)
    y = alt.Y("mean:Q", title="final return").scale(zero=False, padding=12)
    tooltip = [alt.Tooltip("method:N"), alt.Tooltip("mean:Q", title="return", format=",.4~f")]
    tooltip += [alt.Tooltip("valid_mean:Q", title="valid", format=".3%")]
    across = base.mark_rule(aria=False).encode(x=alt.X("valid_low:Q"), x2=alt.X2("valid_high:Q"), y=alt.Y("mean:Q"))
    up = base.mark_rule(aria=False).encode(x=alt.X("valid_mean:Q"), y=alt.Y("low:Q"), y2=alt.Y2("high:Q"))
    dots = base.mark_point(filled=True, size=120, opacity=1)
    return alt.layer(across, up, dots.encode(x=x, y=y, shape=method_shape(methods, _legend()), tooltip=tooltip))


def training_chart(
    curves: Curves, task: str, methods: Sequence[str], y_title: str, described: str, counts: bool = False
) -> Spec:
    """Curves of one task over training; the axis of counts is linear near 0 and logarithmic above."""
    data = curve_data(curves, task)
    return finish(_curves(data, methods, "step", "value", "environment steps", y_title, counts), described)


def curve_data(curves: Curves, task: str) -> pd.DataFrame:
    """Mean over seeds at each step, with a band if there are enough seeds to draw one."""
    data = curves.means[curves.means["task"] == task].rename(columns={"mean": "value"})
    # A point without an interval has a band of width zero: otherwise the band would reach across it.
    ends = {end: data[end].fillna(data["value"]).where(data["n"] >= SEEDS_FOR_BAND) for end in ("low", "high")}
    return data.assign(**ends)[["method", "step", "value", "low", "high"]]


def time_chart(found: Selection, pairs: Sequence[tuple[str, str, str]], described: str) -> Spec:
    """Where the wall-clock of training went: one stacked bar per (label, task, method)."""
    rows = []
    for label, task, method in pairs:
        runs = found.runs(task, method)
        for place, part in enumerate(PARTS):
            if runs:
                seconds = sum(max(part_seconds(run, part), 0.0) for run in runs) / len(runs)
                rows.append({"bar": label, "part": part, "spent": round(seconds, 3), "place": place})
    mixed = different_machines([run for _, task, method in pairs for run in found.runs(task, method)])
    described += " Mean over runs" + (" on different or unknown machines, which do not compare." if mixed else ".")
    return finish(_stacks(rows, PARTS, "seconds"), described)


def step_chart(timed: pd.DataFrame, described: str) -> Spec:
    """Cost of a training step by part, from the frame of one method's timing: one stacked bar per task."""
    rows = [
        {"bar": cell["task"], "part": cell["quantity"], "spent": round(cell["mean"], 6), "place": place}
        for place, part in enumerate(STEP_PARTS)
        for cell in timed[timed["quantity"] == part].to_dict("records")
    ]
    return finish(_stacks(rows, STEP_PARTS, "milliseconds"), described)


def _stacks(rows: Sequence[dict[str, Any]], parts: Sequence[str], unit: str) -> alt.Chart:
    data = pd.DataFrame(rows, columns=["bar", "part", "spent", "place"])
    order = alt.Scale(domain=list(parts), range=[to_hex(PART_COLOURS[part]) for part in parts])
    bars: alt.Chart = (
        alt.Chart(data)
        .mark_bar()
        .encode(
            y=alt.Y("bar:N", sort=None, title=None, axis=alt.Axis(labelLimit=200)),
            x=alt.X("spent:Q", title=unit, axis=alt.Axis(tickCount=6)),
            color=alt.Color("part:N", scale=order, legend=_legend()),
            order=alt.Order("place:Q"),
            tooltip=[alt.Tooltip("bar:N"), alt.Tooltip("part:N"), alt.Tooltip("spent:Q", title=unit, format=",.3~f")],
        )
    )
    return bars


def _curves(
    data: pd.DataFrame,
    methods: Sequence[str],
    x: str,
    y: str,
    x_title: str,
    y_title: str,
    counts: bool = False,
) -> alt.LayerChart | alt.FacetChart:
    methods = [method for method in methods if (data["method"] == method).any()]
    chosen = alt.selection_point(name="chosen", fields=["method"], bind="legend")
    base = alt.Chart(data).encode(x=alt.X(f"{x}:Q", title=x_title, axis=alt.Axis(format="~s", tickCount=6)))
    # Lines with their dashes, since some methods share a colour.
    legend = _legend("stroke")
    colour = method_colour(methods, legend)
    axis = alt.Y(f"{y}:Q", title=y_title)
    if counts:
        # Vega does not find good ticks for this scale.
        ticks = [0, *(10**power for power in range(1, 10) if 10**power <= data[y].max())]
        axis = axis.axis(values=ticks, format=",d").scale(type="symlog", constant=LINEAR_UP_TO)
    else:
        axis = axis.scale(zero=False)
    dashes = alt.Scale(domain=list(methods), range=[_dash(method) for method in methods])
    tooltip = [alt.Tooltip("method:N"), alt.Tooltip(f"{x}:Q", format=",~f"), alt.Tooltip(f"{y}:Q", format=",.4~f")]
    line = (
        base.mark_line(strokeWidth=2.2)
        .encode(
            y=axis,
            color=colour,
            strokeDash=alt.StrokeDash("method:N", scale=dashes, legend=legend),
            opacity=alt.when(chosen).then(alt.value(1.0)).otherwise(alt.value(0.1)),
            tooltip=tooltip,
        )
        .add_params(chosen)
        .properties(name="curves")
    )
    banded = data.dropna(subset=["low", "high"])
    if banded.empty:
        return alt.layer(line)
    band = alt.Chart(banded).mark_area(aria=False, opacity=0.12)
    band = band.encode(x=alt.X(f"{x}:Q"), y=alt.Y("low:Q"), y2=alt.Y2("high:Q"), color=colour)
    return alt.layer(band, line)


def _dash(method: str) -> list[float]:
    dashes = style_of(method).dashes
    return [1, 0] if dashes == "-" else [float(length) for length in dashes[1]]


def _legend(symbol: str | alt.typing.Optional[str] = alt.Undefined) -> alt.Legend:
    return alt.Legend(
        title=None, orient="bottom", columns=2, symbolOpacity=1, symbolLimit=0, labelLimit=220, symbolType=symbol
    )
