"""What the pages of the report say: rows of the leaderboard, and the runs behind every cell."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from benchmark.leaderboard import ALL_TASKS, scale, whole_methods
from benchmark.leaderboard_table import rank_text
from benchmark.rendering import DASH, format_cell
from benchmark.results import TOLERANCES
from benchmark.selection import CompleteRun, Selection
from benchmark.submission.accepted import about
from methods.base import Method, method_class

# What "valid" is counted of, by name in the tidy frame.
VALIDITY = {"final valid share": "the last policy", "valid share": "the whole training"}
# A number that sorts below every other.
NOTHING = -1e308


@dataclass(frozen=True)
class Cell:
    """A number as text, what it sorts by, and the key of the runs that it comes from."""

    text: str
    sort: float
    runs: str = ""


@dataclass(frozen=True)
class Row:
    """A method on one task or on all: one row of the leaderboard.

    Attributes:
        valid: Cells by what is counted and tolerance.
    """

    task: str
    method: str
    runs: Cell
    rank: Cell
    score: Cell
    final: Cell
    better: Cell
    valid: dict[str, dict[str, Cell]] = field(default_factory=dict)


def leaderboard_rows(found: Selection, frame: pd.DataFrame) -> list[Row]:
    """Rows of all tasks together, then of each task, the highest score first."""
    rows = [
        make_row(str(task), str(method), group)
        for (task, method), group in frame.groupby(["task", "method"], sort=False)
        if int(group["n"].max())
    ]
    order = [ALL_TASKS, *found.tasks]
    return sorted(rows, key=lambda row: (order.index(row.task), -row.score.sort, -row.final.sort))


def make_row(task: str, method: str, group: pd.DataFrame) -> Row:
    """One row from its cells in the tidy frame."""
    cells = {(one["quantity"], one["tolerance"]): one for one in group.to_dict("records") if pd.notna(one["tolerance"])}
    single = {one["quantity"]: one for one in group.to_dict("records") if pd.isna(one["tolerance"])}
    key, n = f"{task}/{method}", int(group["n"].max())

    def cell(found: dict[Any, Any] | None) -> Cell:
        if found is None or pd.isna(found["mean"]):
            return Cell(DASH, NOTHING)
        return Cell(format_cell(found, n), float(found["mean"]), key)

    best, worst = single["best rank"]["mean"], single["worst rank"]["mean"]
    valid = {name: {f"{tol:g}": cell(cells.get((name, tol))) for tol in TOLERANCES} for name in VALIDITY}
    return Row(
        task=task,
        method=method,
        runs=Cell(f"{n}/{int(group['N'].max())}", n, key),
        rank=Cell(rank_text(best, worst), NOTHING if pd.isna(best) else -float(best + worst)),
        score=cell(single["score"]),
        final=cell(single.get("final return")),
        better=cell(single.get("improvement")),
        valid=valid,
    )


def runs_behind(found: Selection) -> dict[str, list[dict[str, Any]]]:
    """The runs behind each cell, by its key: a task and a method, or all tasks and a method that has them."""
    by_key = {
        f"{task}/{method}": [describe_run(run) for run in found.runs(task, method)]
        for task in found.tasks
        for method in found.methods
    }
    for method in whole_methods(found):
        by_key[f"{ALL_TASKS}/{method}"] = [
            describe_run(run) for task in found.begun() for run in found.runs(task, method)
        ]
    return {key: runs for key, runs in by_key.items() if runs}


def anchor_runs(found: Selection) -> list[dict[str, Any]]:
    """The runs that returns are measured by."""
    return [describe_run(run) for task in found.tasks for side in found.anchors(task) for run in side]


def describe_run(run: CompleteRun) -> dict[str, Any]:
    """Where one run's numbers are from."""
    record = run.record
    origin = record.provenance
    return {
        "task": record.task,
        "method": record.method,
        "seed": record.seed,
        "return": f"{run.returns.final.mean:,.4g}",
        "commit": (origin.commit or "unknown")[:12] + (" with uncommitted changes" if origin.dirty else ""),
        "machine": run.machine,
        "started": origin.started,
        "lock": (origin.lock_sha256 or "unknown")[:12],
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(origin.versions.items())),
        "key": record.run_key[:12],
        "file": f"runs/{record.task}/{record.method}/seed-{record.seed}.json",
    }


def describe_scale(ends: tuple[float, float] | str) -> str:
    """What scores of a task mean, or why it has none."""
    if isinstance(ends, str):
        return f"no scores, and so no part of the score over all tasks: {ends}"
    return f"score 0 is a return of {ends[0]:,.4g}, score 1 is {ends[1]:,.4g}"


def scales(found: Selection) -> list[tuple[str, str]]:
    """For each task what its scores mean, or why it has none."""
    lines = []
    for task in found.tasks:
        ends = scale(found, task)
        lines.append((task, describe_scale(ends)))
    return lines


def describe_method(found: Selection, method: str) -> list[str]:
    """Paragraphs on a method; none where it was submitted and its code is not of this repository."""
    record = found.accepted.get(method)
    if record is not None and record.adapter(method).kind != "repository":
        return []
    return about_method(method_class(method))


def describe_submission(found: Selection, method: str) -> dict[str, Any] | None:
    """Who submitted a method, where it is from and what verification could not tell; None if it was not submitted."""
    record = found.accepted.get(method)
    if record is None:
        return None
    manifest = record.manifest
    return {
        "said": f"{manifest.complete} of {manifest.expected} runs were submitted, made on "
        f"{'; '.join(manifest.machines)}, and verified when they were accepted. Of the method its submitter says:",
        "facts": about(record, method),
        "warnings": [f"{one.check}: {one.message}" for one in record.findings if one.level == "warning"],
    }


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
