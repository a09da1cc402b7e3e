"""What every experiment is made of: its context, its numbers and their tables, and the grid of its figure."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from benchmark.analysis.statistics import Estimate, point
from benchmark.publishing.tables import describe as budget_and_seeds
from benchmark.publishing.tables.rendering import DASH, Column, View, cells_by_row, format_cell
from benchmark.records.config import ExperimentSettings, Params, Profile, run_config
from benchmark.records.keys import Versions
from benchmark.records.provenance import processor
from benchmark.records.results import TOLERANCES
from benchmark.records.runs import select, state_of
from benchmark.records.selection import Selection, read_selection
from benchmark.records.store import ArtifactStore, load_tensors
from benchmark.training.flows import flow_method
from envs.errors import UserError
from envs.registry import TaskSpec, make_task
from methods.base import Maker, Method, Tensors, make_method
from methods.flowpg import FlowPGBase
from methods.flows.training import draw_samples

# Last columns of every experiment's CSV: one row is one number, with its interval and where it is from.
LAST = ("quantity", "tolerance", "unit", "value", "low", "high", "interval", "n", "N", "note")
ONE_FLOW = "none: one flow a task"
Row = dict[str, Any]


class KeptArtifacts(ArtifactStore):
    """Artifacts as a profile keeps them. What is missing or stale is refused: an experiment trains no flow."""

    def __init__(self, folder: Path, task: TaskSpec, profile: str) -> None:
        super().__init__(folder, task)
        self._profile = profile

    def get(self, name: str, settings: Mapping[str, Any], versions: Versions, make: Maker) -> Tensors:
        """See ``methods.base.Artifacts``.

        Raises:
            UserError: If the artifact is missing, damaged, or of another version or settings than today's.
        """
        del make
        path = self.path(name)
        what = f"flow of {name.removeprefix('flows/')}" if name.startswith("flows/") else name
        again = f"run `acrl flows {self.task.id} -p {self._profile}`"
        if not path.exists():
            raise UserError(f"no {what} on {self.task.id} in profile {self._profile}: {again}")
        tensors, facts = load_tensors(path)
        if facts.get("key") != self.key(settings, versions):
            raise UserError(f"{path} is of another version or other settings than today's: {again}")
        return tensors


@dataclass(frozen=True)
class Context:
    """What an experiment is made from: the settings and the results of one profile."""

    params: Params
    profile: str
    results: Path

    @property
    def chosen(self) -> Profile:
        """The profile."""
        return self.params.profile(self.profile)

    @property
    def settings(self) -> ExperimentSettings:
        """Sizes of the experiments."""
        return self.chosen.experiments

    @property
    def folder(self) -> Path:
        """Where the profile's results lie."""
        return self.results / self.profile

    @functools.cached_property
    def found(self) -> Selection:
        """The profile's runs.

        Raises:
            UserError: As :func:`benchmark.records.selection.read_selection`.
        """
        chosen = self.chosen
        return read_selection(self.folder, self.profile, chosen.tasks, chosen.methods, chosen.seeds)

    def task(self, task_id: str) -> TaskSpec:
        """A task of the profile.

        Raises:
            UserError: If the profile has not got it.
        """
        if task_id not in self.chosen.tasks:
            raise UserError(f"profile {self.profile} has no task {task_id}, which this experiment is about: add it")
        return make_task(task_id)

    def flow_method(self, task: TaskSpec, method_id: str) -> FlowPGBase[Any]:
        """A method with its trained flow.

        Raises:
            UserError: If the flow is missing, damaged, or of other versions or settings than today's.
        """
        config = run_config(self.params, self.profile, task.id, method_id).method
        return flow_method(task, method_id, config, self._kept(task))

    def method(self, task: TaskSpec, method_id: str, config: Mapping[str, Any], seed: int) -> Method[Any]:
        """An untrained method, with its trained flow if it has one.

        Raises:
            UserError: As :meth:`flow_method`.
        """
        method = make_method(method_id, task, config, seed)
        method.prepare(self._kept(task))
        return method

    def samples(self, task: TaskSpec, method: FlowPGBase[Any]) -> Tensors:
        """The training and test set of a method's flow.

        Raises:
            UserError: As :meth:`flow_method`.
        """
        return draw_samples(task, method.config.samples, self._kept(task))

    def _kept(self, task: TaskSpec) -> KeptArtifacts:
        return KeptArtifacts(self.folder, task, self.profile)


@dataclass(frozen=True)
class Measured:
    """What an experiment measured.

    Attributes:
        numbers: Every number, tidy; the CSV.
        marks: What only the figure shows, such as single draws.
    """

    numbers: pd.DataFrame
    marks: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Experiment:
    """One experiment.

    Attributes:
        title: What it asks.
        measure: Does the work.
        caption: What a reader has to know to read the tables: profile, budget, seeds, tolerance, machine.
        views: The tables that are printed.
        draw: The figure.
    """

    title: str
    measure: Callable[[Context], Measured]
    caption: Callable[[Context], str]
    views: Callable[[pd.DataFrame], list[View]]
    draw: Callable[[Measured], Figure]


def make_row(
    quantity: str, unit: str, estimate: Estimate, tolerance: float | None = None, wanted: int = 1, note: str = ""
) -> Row:
    """One number, not yet told what it belongs to.

    Args:
        quantity: Name.
        unit: Such as ``"share"``, which tables print in per cent.
        estimate: Value and interval.
        tolerance: Of a share of valid actions.
        wanted: Of how many runs ``estimate.n`` should be.
        note: What to know about this number.
    """
    return {
        "quantity": quantity,
        "tolerance": tolerance,
        "unit": unit,
        "value": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "interval": estimate.method,
        "n": estimate.n,
        "N": wanted,
        "note": note,
    }


def make_frame(keys: Sequence[str], rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a data frame with the columns that name a row first."""
    frame = pd.DataFrame(list(rows), columns=[*keys, *LAST])
    return frame.astype({"tolerance": float, "value": float, "low": float, "high": float})


def make_table(frame: pd.DataFrame, keys: list[str], columns: Sequence[Column], runs: str = "") -> pd.DataFrame:
    """The text of a table: a row for each combination of ``keys``, a dash for what the frame has not got.

    Args:
        frame: From :func:`make_frame`.
        keys: Columns that name a row.
        columns: Quantities shown.
        runs: Header of the column that says how many of how many runs a row is from; none if empty.
    """
    rows = []
    for key, cells in cells_by_row(frame, keys).items():
        found, wanted = (int(max(cell[size] for cell in cells.values())) for size in ("n", "N"))
        row = dict(zip(keys, map(str, key), strict=True)) | ({runs: f"{found}/{wanted}"} if runs else {})
        for column in columns:
            cell = cells.get(column.key)
            row[column.header] = format_cell(cell | {"mean": cell["value"]}, found) if cell else DASH
        rows.append(row)
    return pd.DataFrame(rows, columns=[*keys, *([runs] if runs else []), *(column.header for column in columns)])


def describe(context: Context) -> str:
    """Profile and seeds, in one sentence."""
    seeds = ", ".join(str(seed) for seed in context.chosen.seeds)
    return f"Profile {context.profile}; seeds: {seeds}."


def describe_runs(context: Context) -> str:
    """Profile, budget and seeds, and how many of its runs are of other versions or settings than today's."""
    selected = select(context.params, context.profile)
    stale = sum(state_of(run, context.params, context.results)[0] == "stale" for run in selected)
    note = f" Of its runs, {stale} are of other versions or settings than today's (`acrl status -p {context.profile}`)."
    return budget_and_seeds(context.found) + (note if stale else "")


def machine() -> str:
    """What times taken now depend on besides the program."""
    threads = torch.get_num_threads()
    return f"{processor()}, {threads} thread{'' if threads == 1 else 's'}"


VALID = tuple(Column(f"valid at {tol:g} [%]", "valid share", tol) for tol in TOLERANCES)


def share_within(sizes: Tensor, tolerance: float) -> float:
    """Share of summed violations (N,) within a tolerance."""
    return float((sizes <= tolerance).double().mean())


def validity_rows(sizes: Tensor) -> Iterator[Row]:
    """The share of one flow's actions that is valid, at every tolerance."""
    for tolerance in TOLERANCES:
        yield make_row("valid share", "share", point(share_within(sizes, tolerance), 1, ONE_FLOW), tolerance)


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
