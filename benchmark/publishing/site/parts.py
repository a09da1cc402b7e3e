"""Parts of the report: its text on a method and a claim, and where every number comes from."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis import summaries
from benchmark.analysis.claims.rule import Claim, Finding, Reading
from benchmark.analysis.timing import STEP_PARTS
from benchmark.publishing.claims import SHARED, Row, effect_rows, effect_text, verdict_rows, verdict_text
from benchmark.publishing.extremes import extremes
from benchmark.publishing.site.cells import Cell, Grid, make_grid
from benchmark.publishing.tables import FLOW_COSTS
from benchmark.publishing.tables.rendering import Column, digits_of_interval, like, make_view, valid_columns
from benchmark.records.provenance import machine_of
from benchmark.records.reports import of_experiment, of_flow, of_runs, of_timing
from benchmark.records.results import Provenance
from benchmark.records.selection import CompleteRun, Selection
from benchmark.records.submissions import is_of_repository
from methods.base import Method, method_class

STEP = (
    Column("step [ms]", "step"),
    *(Column(f"{part} [ms]", part) for part in STEP_PARTS),
    Column(f"step, times that of {summaries.REFERENCE}", "step ratio"),
    Column("whole training with flow [s]", "training"),
)


def describe_method(found: Selection, method: str) -> list[str]:
    """Paragraphs on a method: its module's docstring, and the first line of each module that it builds on.

    A submitted method has none, since its code may not be installed.
    """
    if method in found.submitted and not is_of_repository(method):
        return []
    cls = method_class(method)
    modules = dict.fromkeys(
        inspect.getmodule(one) for one in cls.__mro__ if issubclass(one, Method) and one is not Method
    )
    own, *others = (inspect.getdoc(module) or "" for module in modules)
    paragraphs = [
        *(own or inspect.getdoc(cls) or "").split("\n\n"),
        *(f"Builds on: {text.partition(chr(10))[0]}" for text in others),
    ]
    return [" ".join(paragraph.split()) for paragraph in paragraphs]


def settings_of(run: CompleteRun) -> dict[str, str]:
    """Settings of a run's method, which all seeds share."""
    return {name: str(value) for name, value in sorted(run.record.config.get("method", {}).items())}


def measured_rows(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The rows of a table with at least one measurement."""
    return frame[frame.groupby(keys, dropna=False)["n"].transform("max") > 0]


def step_grid(found: Selection, timed: pd.DataFrame, method: str) -> Grid | None:
    """Time of a training step by task and part, from the frame of its timing; None if it was not timed."""
    own = measured_rows(timed, ["task"])
    if own.empty:
        return None

    def origin(row: dict[str, str], column: str) -> list[str]:
        flow = [of_flow(row["task"], method)] if (row["task"], method) in found.flows else []
        return [of_timing(row["task"]), *(flow if column == STEP[-1].header else [])]

    return make_grid(make_view(own, ["task"], STEP, "rounds", digits_of_interval), ["task"], origin)


def flow_grids(flows: pd.DataFrame, method: str) -> dict[str, Grid]:
    """Recall, cost and validity of a method's flows by task, from the frame of flows; empty without a flow."""
    own = measured_rows(flows[flows["flow"] == method], ["task", "states", "latent"])
    if own.empty:
        return {}
    whole = make_view(own[own["latent"] == ""], ["task"], FLOW_COSTS, "flows", digits_of_interval)
    keys = ["task", "states", "latent"]
    valid = make_view(own[own["latent"] != ""], keys, valid_columns("validity"), "n of N", digits_of_interval)

    def origin(row: dict[str, str], _: str) -> list[str]:
        if row["latent"] == "policy":
            return [of_runs(row["task"], method)]
        return [of_flow(row["task"], method, row["states"])]

    return {
        "Recall and cost": make_grid(whole, ["task"], lambda row, _: [of_flow(row["task"], method)]),
        "Validity": make_grid(valid, keys, origin),
    }


def claim_page(claim: Claim, known: Collection[str]) -> dict[str, Any]:
    """A claim as tables by heading, whose cells name their sources among the ``known`` ones."""

    def linked(text: str, sources: Iterable[str], about: str, strong: bool = False) -> Cell:
        there = " ".join(dict.fromkeys(name for name in sources if name in known))
        return Cell(text, sources=there, about=about, strong=strong)

    def cell(column: str, value: str | Finding | Reading, row: Row) -> Cell:
        if isinstance(value, Finding):
            return linked(effect_text(value, digits_of_interval), value.sources, f"{claim.id}, {value.task}: {column}")
        if isinstance(value, Reading):
            return linked(verdict_text(value), value.sources, f"{claim.id}, {value.name}", value.decides)
        if column in SHARED:
            behind = [name for one in row.values() if isinstance(one, Finding) for name in one.sources]
            return linked(value, behind, f"{claim.id}, {row['task']}: {column}")
        return Cell(value)

    def grid(rows: Sequence[Row]) -> Grid:
        heads = list(rows[0]) if rows else []
        cells = [[cell(column, value, row) for column, value in row.items()] for row in rows]
        return Grid(heads, cells).without_empty()

    def of_row(row: dict[str, str], _: str) -> list[str]:
        return [name for name in [of_runs(row["task"], row["method"])] if name in known]

    asides = dict.fromkeys(reading.aside for reading in claim.readings)
    deciding = [name for reading in claim.deciding for name in reading.sources]
    best, worst = extremes(claim)
    return {
        "claim": claim,
        "best": best,
        "worst": worst,
        "verdict": linked(claim.verdict, deciding, f"{claim.id} {claim.title}: what decides", strong=True),
        "effects": {
            aside: grid(effect_rows(claim, [reading for reading in claim.readings if reading.aside == aside]))
            for aside in asides
        },
        "extra": {
            heading: make_grid(frame, ["task", "method"], of_row)
            for heading, frame in claim.extra.items()
            if len(frame)
        },
        "verdicts": grid(verdict_rows(claim)),
    }


Origin = dict[str, Any]


def sources(found: Selection, folder: Path) -> dict[str, list[Origin]]:
    """The origins of all numbers, by source name (:mod:`benchmark.records.reports`)."""
    by_name = {of_runs(*pair): [describe_run(run) for run in runs] for pair, runs in found.complete.items()}
    made = [
        ({"task": task, "method": method}, of_flow(task, method, states), by_pair[task, method].provenance)
        for task, method in sorted(found.flows.keys() | found.visited.keys())
        for states, by_pair in (("sampled", found.flows), ("visited", found.visited))
        if (task, method) in by_pair
    ]
    made += [
        ({"task": task, "method": "all timed"}, of_timing(task), timing.provenance)
        for task, timing in found.timing.items()
    ]
    by_name |= {name: [{**what, **describe_origin(provenance), "file": name}] for what, name, provenance in made}
    for path in sorted((folder / "experiments").glob("*.csv")):
        by_name[of_experiment(path.stem)] = [{"file": of_experiment(path.stem), "note": caption_of(path)}]
    return by_name


def describe_run(run: CompleteRun) -> Origin:
    """The origin of one run's numbers."""
    record, value = run.record, run.returns.final.mean
    return {
        "task": record.task,
        "method": record.method,
        "seed": record.seed,
        "return": like(value, whole=False)(value),
        **describe_origin(record.provenance),
        "lock": (record.provenance.lock_sha256 or "unknown")[:12],
        "key": record.run_key[:12],
        "file": f"runs/{record.task}/{record.method}/seed-{record.seed}.json",
    }


def describe_origin(provenance: Provenance | None) -> Origin:
    """Commit, machine and start; "unknown" without provenance."""
    if provenance is None:
        return dict.fromkeys(("commit", "machine", "started"), "unknown")
    dirty = " with uncommitted changes" if provenance.dirty else ""
    commit = (provenance.commit or "unknown")[:12] + dirty
    return {"commit": commit, "machine": machine_of(provenance), "started": provenance.started}


def caption_of(numbers: Path) -> str:
    """The caption of an experiment's page, which states profile, seeds and machine."""
    page = numbers.with_suffix(".md")
    paragraphs = page.read_text("utf-8").split("\n\n") if page.exists() else []
    return paragraphs[1].strip() if len(paragraphs) > 1 else f"See {page.name}."


def provenance_page(found: Selection, behind: Mapping[str, list[Origin]]) -> dict[str, Any]:
    """All runs, reference runs, reports on flows and timings, experiments, and versions by lock file."""
    origins = [run.record.provenance for runs in found.complete.values() for run in runs]
    others = [one for name, known in behind.items() for one in known if one["file"] == name]
    return {
        "runs": [describe_run(run) for run in found.everything()],
        "references": [
            describe_run(run)
            for task in found.tasks
            for side in (*found.anchors(task), found.idle(task))
            for run in side
        ],
        "reports": [one for one in others if "note" not in one],
        "experiments": [one for one in others if "note" in one],
        "versions": {
            (origin.lock_sha256 or "unknown")[:12]: ", ".join(
                f"{name} {version}" for name, version in sorted(origin.versions.items())
            )
            for origin in sorted(origins, key=lambda origin: origin.started)
        },
    }
