"""The grid of figures of several panels."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDEST = 3


def make_grid(names: Sequence[str], height: float = 3.0) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each name, at most three side by side, that share their axes' range in y."""
    columns = min(max(len(names), 1), WIDEST)
    rows = math.ceil(len(names) / columns) or 1
    figure = Figure(figsize=(max(3.6 * columns, 5.5), height * rows + 1.3), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flatten())
    for unused in grid[len(names) :]:
        unused.set_visible(False)
    return figure, grid[: len(names)]
