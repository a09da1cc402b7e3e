"""How figures look: a method has the same style in all of them, and the same numbers give the same bytes."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import RcKeyType

DPI = 150
SETTINGS: dict[RcKeyType, Any] = {
    # Without a salt the ids in an SVG are random, and the same results would give another file each time.
    "svg.hashsalt": "acrl",
    "axes.titlesize": 11,
    "axes.labelsize": 10,
    "legend.fontsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


@dataclass(frozen=True)
class Style:
    """How a method is drawn in every figure."""

    colour: tuple[float, float, float]
    marker: str
    dashes: Literal["-"] | tuple[float, tuple[float, ...]]


# The interval of two seeds is nine times as wide as the distance between them: such bands would hide every curve.
SEEDS_FOR_BAND = 3
COLOURS = sns.color_palette("colorblind", 10)
PART_COLOURS = {
    "prepare": COLOURS[4],
    "act": COLOURS[9],
    "project": COLOURS[1],
    "env": COLOURS[2],
    "update": COLOURS[0],
    "other": (0.75, 0.75, 0.75),
}
LONG, SHORT, DOTTED = (0, (10, 2)), (0, (4, 1.5)), (0, (1, 1.2))
# A colour stands for a way to make actions feasible; methods on TD3 have long dashes, methods on SAC are dotted.
PROJECTED, PENALISED, LAYER, ALPHA, RADIAL, GAUGE = (COLOURS[index] for index in (5, 6, 8, 9, 2, 4))
STYLES = {
    "flowpg": Style(COLOURS[0], "o", "-"),
    "flowpg-spline": Style(ALPHA, "P", "-"),
    "flowpg-gauge": Style(GAUGE, "X", "-"),
    "cv-flow": Style(COLOURS[0], "*", DOTTED),
    "ddpg-projection": Style(COLOURS[1], "s", (0, (6, 2))),
    "ddpg-projection-layer": Style(LAYER, "s", SHORT),
    "ddpg-projection-qp": Style(COLOURS[7], "v", (0, (6, 2, 1, 2, 1, 2))),
    "ddpg-projection-target": Style((0.55, 0.2, 0.0), "<", (0, (1, 1))),
    "ddpg-penalty": Style(COLOURS[3], "D", (0, (2, 1.5))),
    "ddpg-gauge": Style(GAUGE, ">", SHORT),
    "nfw": Style((0.0, 0.4, 0.3), "d", (0, (1, 1))),
    "nfw-target": Style(RADIAL, "^", (0, (6, 2, 1, 2))),
    "dpro": Style(PROJECTED, "p", LONG),
    "dpro+": Style(PROJECTED, "*", LONG),
    "dpre": Style(PENALISED, "p", LONG),
    "dpre+": Style(PENALISED, "*", LONG),
    "dopt": Style(LAYER, "p", LONG),
    "dopt+": Style(LAYER, "*", LONG),
    "dalpha": Style(ALPHA, "p", LONG),
    "drad": Style(RADIAL, "p", LONG),
    "td3-gauge": Style(GAUGE, "p", LONG),
    "sac-projection": Style(PROJECTED, "h", DOTTED),
    "spre": Style(PENALISED, "h", DOTTED),
    "spre+": Style(PENALISED, "H", DOTTED),
    "salpha": Style(ALPHA, "h", DOTTED),
    "srad": Style(RADIAL, "h", DOTTED),
    "sac-gauge": Style(GAUGE, "h", DOTTED),
    "aram": Style((0.45, 0.35, 0.75), "h", "-"),
    # A level, not a curve: no marker.
    "hold": Style((0.2, 0.2, 0.2), "", (0, (1, 2))),
}


def style_of(method: str) -> Style:
    """The style of a method; a method that is not built in gets one derived from its name."""
    if method in STYLES:
        return STYLES[method]
    number = zlib.crc32(method.encode())
    return Style(COLOURS[(0, 2, 4, 5, 9)[number % 5]], "PX*ph<>"[number // 5 % 7], SHORT)


def add_legend(figure: Figure, methods: Sequence[str], columns: int = 4) -> None:
    """A legend of methods below the panels."""
    handles = []
    for method in methods:
        style = style_of(method)
        handles.append(Line2D([], [], color=style.colour, linestyle=style.dashes, linewidth=1.8, label=method))
        handles[-1].set_marker(style.marker)
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, handlelength=4)


def save_figure(figure: Figure) -> dict[str, bytes]:
    """A figure as the bytes of an SVG and a PNG, without dates and versions."""
    # Laying out panels takes as long as drawing them: do it once for both files.
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    figure.set_dpi(DPI)
    svg, png = io.BytesIO(), io.BytesIO()
    # Matplotlib does not type these methods.
    pixels: Any = FigureCanvasAgg(figure)
    vectors: Any = FigureCanvasSVG(figure)
    # Figure.savefig would draw each file twice, in case the first time changes the layout. An SVG changes the dpi.
    pixels.print_png(png, metadata={"Software": None})
    vectors.print_svg(svg, metadata={"Date": None, "Creator": None})
    return {"svg": svg.getvalue(), "png": png.getvalue()}
