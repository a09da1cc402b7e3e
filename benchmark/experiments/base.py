"""The parts of an experiment: its context, its measurements, how they are shown, and its files."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.publishing.figures.styles import SETTINGS, save_figure
from benchmark.publishing.tables.notes import describe as budget_and_seeds
from benchmark.publishing.tables.rendering import Table, View, markdown
from benchmark.records.config import ExperimentSettings, Params, Profile, run_config
from benchmark.records.files import check_writable, write_bytes
from benchmark.records.provenance import processor
from benchmark.records.runs import select, state_of
from benchmark.records.selection import Selection, labelled, read_profile
from benchmark.records.store import KeptArtifacts
from benchmark.training.flows import flow_method
from envs.errors import UserError
from envs.registry import TaskSpec, make_task
from methods.base import Tensors
from methods.flowpg import FlowPGBase
from methods.flows.training import draw_samples

# The most panels side by side in a figure.
WIDEST = 3


@dataclass(frozen=True)
class Context:
    """The input of an experiment: settings and results of one profile, and the number of processes to use."""

    params: Params
    profile: str
    results: Path
    jobs: int = 1

    @property
    def chosen(self) -> Profile:
        """The profile."""
        return self.params.profile(self.profile)

    @property
    def label(self) -> str:
        """As :func:`benchmark.records.selection.labelled`."""
        return labelled(self.profile, self.chosen.ranked)

    @property
    def settings(self) -> ExperimentSettings:
        """Sizes of the experiments."""
        return self.chosen.experiments

    @property
    def folder(self) -> Path:
        """The folder of the profile's results."""
        return self.results / self.profile

    @functools.cached_property
    def found(self) -> Selection:
        """The profile's runs.

        Raises:
            UserError: As :func:`benchmark.records.selection.read_profile`.
        """
        return read_profile(self.folder, self.chosen)

    def task(self, task_id: str) -> TaskSpec:
        """A task of the profile.

        Raises:
            UserError: If the profile does not have it.
        """
        if task_id not in self.chosen.tasks:
            raise UserError(f"profile {self.profile} has no task {task_id}, which this experiment needs: add it")
        return make_task(task_id)

    def flow_method(self, task: TaskSpec, method_id: str) -> FlowPGBase[Any]:
        """A method with its trained flow.

        Raises:
            UserError: If the flow is missing, damaged or stale.
        """
        config = run_config(self.params, self.profile, task.id, method_id).method
        return flow_method(task, method_id, config, self.kept(task))

    def samples(self, task: TaskSpec, method: FlowPGBase[Any]) -> Tensors:
        """The training and test set of a method's flow.

        Raises:
            UserError: As :meth:`flow_method`.
        """
        return draw_samples(task, method.config.samples, self.kept(task))

    def kept(self, task: TaskSpec) -> KeptArtifacts:
        """The profile's artifacts of a task."""
        return KeptArtifacts(self.folder, task, f"run `acrl flows {task.id} -p {self.profile}`")


@dataclass(frozen=True)
class Measured:
    """The measurements of an experiment.

    Attributes:
        numbers: Every number, as the tidy frame of the CSV.
        marks: Data for the figure only, such as single draws.
    """

    numbers: pd.DataFrame
    marks: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        title: Title of its page.
        measure: Makes the measurements.
        caption: What the tables show, of which profile, and how to read them; at most two sentences.
        views: Makes the printed tables from the numbers, with ``value`` renamed to ``mean``.
        draw: Draws the figure.
        notes: Facts about the runs behind the numbers.
    """

    title: str
    measure: Callable[[Context], Measured]
    caption: Callable[[Context], str]
    views: Callable[[pd.DataFrame], list[View]]
    draw: Callable[[Measured], Figure]
    notes: Callable[[Context], list[str]] = lambda _: []

    def write(self, context: Context, name: str) -> list[Path]:
        """Measure, write ``results/<profile>/experiments/<name>`` as .csv, .md, .svg and .png, and return the paths.

        The same inputs give the same bytes, except for measured times.

        Raises:
            UserError: If an input is missing or damaged, or a file cannot be written; nothing is written then.
        """
        torch.set_num_threads(1)
        folder = context.folder / "experiments"
        check_writable(folder / name)
        measured = self.measure(context)
        numbers = measured.numbers
        views = self.views(numbers.rename(columns={"value": "mean"}))
        table = Table(name, self.title, self.caption(context), numbers, views, self.notes(context))
        page = f"{markdown(table, table.notes, '#')}\n![{self.title}]({name}.png)\n"
        contents = {"csv": numbers.to_csv(index=False, lineterminator="\n").encode(), "md": page.encode()}
        with sns.axes_style("whitegrid"), sns.plotting_context("paper"), mpl.rc_context(SETTINGS):
            contents |= save_figure(self.draw(measured))
        for kind, content in contents.items():
            write_bytes(folder / f"{name}.{kind}", content)
        return [folder / f"{name}.{kind}" for kind in contents]


def describe(context: Context) -> str:
    """Profile and seeds, for a caption."""
    return f"profile {context.label}, seeds {', '.join(str(seed) for seed in context.chosen.seeds)}"


def describe_runs(context: Context) -> list[str]:
    """A note on profile, budget and seeds, and one on stale runs, if there are any."""
    selected = select(context.params, context.profile)
    stale = sum(state_of(run, context.params, context.results)[0] == "stale" for run in selected)
    note = f"{stale} of these runs are stale: see acrl status -p {context.profile}."
    return [budget_and_seeds(context.found), *([note] if stale else [])]


def machine() -> str:
    """The processor and the number of threads, on which times depend."""
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} thread{'' if threads == 1 else 's'}"


def make_grid(names: Sequence[str], height: float = 3.0) -> tuple[Figure, list[Axes]]:
    """A figure with one panel per name, at most three side by side, with a shared y axis."""
    columns = min(max(len(names), 1), WIDEST)
    rows = math.ceil(len(names) / columns) or 1
    figure = Figure(figsize=(max(3.6 * columns, 5.5), height * rows + 1.3), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flatten())
    for unused in grid[len(names) :]:
        unused.set_visible(False)
    return figure, grid[: len(names)]
