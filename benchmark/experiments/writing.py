"""The experiments by name; running one and writing its numbers, tables and figure."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import seaborn as sns
import torch

from benchmark.experiments import c6, e1, e2, e3, n1, n2, n3
from benchmark.experiments.base import Context, Experiment, Measured
from benchmark.publishing.figures.styles import SETTINGS, save_figure
from benchmark.publishing.tables.rendering import Table, markdown
from benchmark.records.files import check_writable, write_bytes
from envs.errors import UnknownIdError

EXPERIMENTS: dict[str, Experiment] = {
    "e1": e1.EXPERIMENT,
    "e2": e2.EXPERIMENT,
    "e3": e3.EXPERIMENT,
    "n1": n1.EXPERIMENT,
    "n2": n2.EXPERIMENT,
    "n3": n3.EXPERIMENT,
    "c6": c6.EXPERIMENT,
}


def find_experiment(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        UnknownIdError: If there is none.
    """
    if name not in EXPERIMENTS:
        raise UnknownIdError("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def write_experiment(context: Context, name: str) -> list[Path]:
    """Measure an experiment, and write ``results/<profile>/experiments/<name>`` as .csv, .md, .svg and .png.

    The same inputs give the same bytes, but for measured times.

    Returns:
        The files written.

    Raises:
        UserError: If there is no such experiment, something that it reads is missing or damaged, or a file cannot be
            written; nothing is written then.
    """
    torch.set_num_threads(1)
    experiment = find_experiment(name)
    folder = context.folder / "experiments"
    check_writable(folder / name)
    measured = experiment.measure(context)
    views = experiment.views(measured.numbers)
    table = Table(name, experiment.title, experiment.caption(context), measured.numbers, views, [])
    page = f"{markdown(table, [], '#')}\n![{experiment.title}]({name}.png)\n"
    contents = {
        "csv": measured.numbers.to_csv(index=False, lineterminator="\n").encode(),
        "md": page.encode(),
        **draw_kinds(experiment, measured),
    }
    paths = [folder / f"{name}.{kind}" for kind in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_bytes(path, content)
    return paths


def draw_kinds(experiment: Experiment, measured: Measured) -> dict[str, bytes]:
    """The figure as files of each kind."""
    with sns.axes_style("whitegrid"), sns.plotting_context("paper"), mpl.rc_context(SETTINGS):
        return save_figure(experiment.draw(measured))
