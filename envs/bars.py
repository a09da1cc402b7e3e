"""Bar charts as frames, for environments without a body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Frame = NDArray[np.uint8]

RENDER_MODES = ["rgb_array"]
BAR = "#009E73"
# In inches: text and lines grow with the width in pixels.
FIGURE = (2.24, 1.68)


def check_render_mode(environment: str, render_mode: str | None) -> None:
    """Check a render mode.

    Raises:
        UserError: If it is neither None nor ``"rgb_array"``.
    """
    if render_mode not in (None, *RENDER_MODES):
        raise UserError(f"{environment} has no render mode '{render_mode}': use 'rgb_array' or None")


class BarChart:
    """A bar chart with n bars, marks on them and a legend below, laid out once.

    Args:
        width: Width of a frame in pixels, a multiple of 4. The height is three quarters of it.
        count: Number of bars, n.
        bars: Legend of the bars.
        marks: Legend of each kind of marks, and its matplotlib style.
        top: Upper end of the axis.
        limit: Height of a dotted line, or None.
        labels: Labels of the two axes.
    """

    def __init__(
        self,
        width: int,
        count: int,
        bars: str,
        marks: Mapping[str, Mapping[str, Any]],
        top: float,
        limit: float | None,
        labels: tuple[str, str],
    ) -> None:
        # Imported here, since most uses of an environment draw nothing.
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        with rc_context({"font.size": 7.0}):
            self._figure: Figure = Figure(figsize=FIGURE, dpi=width / FIGURE[0], layout="constrained")
            axes, places, nothing = self._figure.subplots(), np.arange(1, count + 1), np.zeros(count)
            axes.bar(places, nothing, width=0.6, color=BAR, label=bars)
            for label, style in marks.items():
                axes.plot(places, nothing, linestyle="", label=label, **style)
            if limit is not None:
                axes.axhline(limit, color="0.4", linestyle=":", linewidth=1)
            axes.set(ylim=(0, top), xlim=(0.4, count + 0.6), xticks=places, xlabel=labels[0], ylabel=labels[1])
            self._figure.legend(loc="outside lower center", ncols=3, frameon=False, handlelength=1, markerscale=0.6)

    def draw(self, title: str, heights: ArrayLike, *marks: ArrayLike) -> Frame:
        """A frame (3/4 width, width, 3) with these bars (n,) and marks (n,), of which NaN are not drawn."""
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        with rc_context({"font.size": 7.0}):
            (axes,) = self._figure.axes
            axes.set_title(title, fontsize=8)
            for bar, height in zip(axes.patches, np.asarray(heights), strict=True):
                bar.set_height(height)  # type: ignore[attr-defined]
            # The dotted line is the last.
            for line, values in zip(axes.lines, marks, strict=False):
                line.set_ydata(np.asarray(values))
            canvas = FigureCanvasAgg(self._figure)
            canvas.draw()
            # Laid out once, so the axes do not move between frames.
            self._figure.set_layout_engine("none")
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
