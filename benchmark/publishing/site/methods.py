"""What the report says of a method: what it is, its settings, what its steps cost, how good its flow is."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import pandas as pd

from benchmark.analysis import summaries
from benchmark.analysis.timing import STEP_PARTS
from benchmark.publishing.site.cells import Grid, make_grid
from benchmark.publishing.tables.rendering import Column, make_view
from benchmark.records.references import of_flow, of_runs, of_timing
from benchmark.records.results import TOLERANCES
from benchmark.records.selection import CompleteRun, Selection
from benchmark.records.submissions import is_of_repository
from methods.base import Method, method_class

STEP = (
    Column("step [ms]", "step"),
    *(Column(f"{part} [ms]", part) for part in STEP_PARTS),
    Column(f"step, times that of {summaries.REFERENCE}", "step ratio"),
    Column("whole training with flow [s]", "training"),
)
FLOW_VALID = tuple(Column(f"valid at {tol:g} [%]", "validity", tol) for tol in TOLERANCES)
FLOW_WHOLE = (
    Column("recall [%]", "recall"),
    Column("F1 [%]", "F1"),
    Column("draws", "draws"),
    Column("samples and training [s]", "seconds"),
)


def describe_method(found: Selection, method: str) -> list[str]:
    """Paragraphs on a method; none of a submitted one whose code may be installed here or not."""
    if method in found.submitted and not is_of_repository(method):
        return []
    return about_method(method_class(method))


def about_method(cls: type[Method[Any]]) -> list[str]:
    """Paragraphs on a method: its module's docstring, and the first lines of those that it stands on."""
    modules = dict.fromkeys(
        inspect.getmodule(one) for one in cls.__mro__ if issubclass(one, Method) and one is not Method
    )
    own, *others = (inspect.getdoc(module) or "" for module in modules)
    paragraphs = [
        *(own or inspect.getdoc(cls) or "").split("\n\n"),
        *(f"Stands on: {text.partition(chr(10))[0]}" for text in others),
    ]
    return [" ".join(paragraph.split()) for paragraph in paragraphs]


def settings_of(runs: Iterable[CompleteRun]) -> dict[str, str]:
    """Settings of a row's method, which are the same for all its seeds."""
    for run in runs:
        config = run.record.config.get("method", {})
        return {name: str(value) for name, value in sorted(config.items())}
    return {}


def measured_rows(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The rows of a table in which something was measured, with all of their cells."""
    return frame[frame.groupby(keys, dropna=False)["n"].transform("max") > 0]


def step_grid(found: Selection, timed: pd.DataFrame, method: str) -> Grid | None:
    """The measured split of a training step by task, from the frame of ``acrl timing``; None where it was not timed."""
    own = measured_rows(timed[timed["method"] == method], ["task"])
    if own.empty:
        return None

    def origin(row: dict[str, str], column: str) -> list[str]:
        flow = [of_flow(row["task"], method)] if (row["task"], method) in found.flows else []
        return [of_timing(row["task"]), *(flow if column == STEP[-1].header else [])]

    return make_grid(make_view(own, ["task"], STEP, "rounds"), ["task"], origin)


def flow_grids(flows: pd.DataFrame, method: str) -> dict[str, Grid]:
    """Recall, cost and validity of a method's flows by task, from the frame of flows; none without a flow."""
    own = measured_rows(flows[flows["flow"] == method], ["task", "states", "latent"])
    if own.empty:
        return {}
    whole = make_view(own[own["latent"] == ""], ["task"], FLOW_WHOLE, "flows")
    keys = ["task", "states", "latent"]
    valid = make_view(own[own["latent"] != ""], keys, FLOW_VALID, "n of N")

    def origin(row: dict[str, str], _: str) -> list[str]:
        if row["latent"] == "policy":
            return [of_runs(row["task"], method)]
        return [of_flow(row["task"], method, row["states"])]

    return {
        "Recall and cost": make_grid(whole, ["task"], lambda row, _: [of_flow(row["task"], method)]),
        "Validity": make_grid(valid, keys, origin),
    }
