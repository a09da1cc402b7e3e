"""Parts of the report: what it says of a method and of a claim, and where every number is from."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis import summaries
from benchmark.analysis.claims.rule import Claim, Finding, Reading
from benchmark.analysis.timing import STEP_PARTS
from benchmark.publishing.claims import SHARED, Row, effect_rows, effect_text, verdict_rows, verdict_text
from benchmark.publishing.site.cells import Cell, Grid, make_grid
from benchmark.publishing.tables.rendering import DASH, Column, like, make_view
from benchmark.records.provenance import machine_of
from benchmark.records.reports import of_experiment, of_flow, of_runs, of_timing
from benchmark.records.results import TOLERANCES, Provenance
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


@dataclass(frozen=True)
class ClaimPage:
    """One claim.

    Attributes:
        verdict: With everything that it was judged by.
        effects: What was measured, by heading; the first has none.
        extra: Further tables by heading.
        verdicts: Of each reading.
    """

    claim: Claim
    verdict: Cell
    effects: dict[str, Grid]
    extra: dict[str, Grid]
    verdicts: Grid


def claim_page(claim: Claim, known: Collection[str]) -> ClaimPage:
    """A claim as tables whose cells name what they come from; ``known`` are the sources that there are."""

    def linked(text: str, sources: Iterable[str], about: str, strong: bool = False) -> Cell:
        there = " ".join(dict.fromkeys(name for name in sources if name in known))
        return Cell(text, sources=there, about=about, strong=strong)

    def cell(column: str, value: str | Finding | Reading, row: Row) -> Cell:
        if isinstance(value, Finding):
            return linked(effect_text(value), value.sources, f"{claim.id}, {value.task}: {column}")
        if isinstance(value, Reading):
            return linked(verdict_text(value), value.sources, f"{claim.id}, {value.name}", value.decides)
        if column in SHARED:
            behind = [name for one in row.values() if isinstance(one, Finding) for name in one.sources]
            return linked(value, behind, f"{claim.id}, {row['task']}: {column}")
        return Cell(value)

    def grid(rows: Sequence[Row]) -> Grid:
        heads = list(rows[0]) if rows else []
        return Grid(heads, [[cell(column, value, row) for column, value in row.items()] for row in rows])

    asides = dict.fromkeys(reading.aside for reading in claim.readings)
    deciding = [name for reading in claim.deciding for name in reading.sources]
    return ClaimPage(
        claim=claim,
        verdict=linked(claim.verdict, deciding, f"{claim.id} {claim.title}: what decides", strong=True),
        effects={
            aside: grid(effect_rows(claim, [reading for reading in claim.readings if reading.aside == aside]))
            for aside in asides
        },
        extra={heading: extra_grid(frame, known) for heading, frame in claim.extra.items() if len(frame)},
        verdicts=grid(verdict_rows(claim)),
    )


def extra_grid(frame: pd.DataFrame, known: Collection[str]) -> Grid:
    """A further table of a claim, whose rows are of a task and a method."""
    return make_grid(
        frame,
        ["task", "method"],
        lambda row, _: [name for name in [of_runs(row["task"], row["method"])] if name in known],
    )


Origin = dict[str, Any]


def sources(found: Selection, folder: Path) -> dict[str, list[Origin]]:
    """Everything that numbers are from, by its name in :mod:`benchmark.records.reports`."""
    by_name = {of_runs(*pair): [describe_run(run) for run in runs] for pair, runs in found.complete.items()}
    for states, reports in (("sampled", found.flows), ("visited", found.visited)):
        for (task, method), report in reports.items():
            by_name[of_flow(task, method, states)] = [describe_flow(task, method, states, report.provenance)]
    for task, timing in found.timing.items():
        name = of_timing(task)
        by_name[name] = [{"task": task, "method": "all timed", **describe_origin(timing.provenance), "file": name}]
    for path in sorted((folder / "experiments").glob("*.csv")):
        by_name[of_experiment(path.stem)] = [{"file": of_experiment(path.stem), "note": caption_of(path)}]
    return dict(sorted(by_name.items()))


def describe_run(run: CompleteRun) -> Origin:
    """Where one run's numbers are from."""
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


def describe_flow(task: str, method: str, states: str, provenance: Provenance | None) -> Origin:
    """Where the report on a flow is from."""
    return {"task": task, "method": method, **describe_origin(provenance), "file": of_flow(task, method, states)}


def describe_origin(provenance: Provenance | None) -> Origin:
    """Commit, machine and start; unknown where nothing was noted."""
    if provenance is None:
        return {"commit": "unknown", "machine": "unknown", "started": "unknown"}
    dirty = " with uncommitted changes" if provenance.dirty else ""
    commit = (provenance.commit or "unknown")[:12] + dirty
    return {"commit": commit, "machine": machine_of(provenance), "started": provenance.started}


def caption_of(numbers: Path) -> str:
    """What the page beside an experiment's numbers says of profile, seeds and machine."""
    page = numbers.with_suffix(".md")
    paragraphs = page.read_text("utf-8").split("\n\n") if page.exists() else []
    return paragraphs[1].strip() if len(paragraphs) > 1 else f"See {page.name}."


def anchor_runs(found: Selection) -> list[Origin]:
    """The runs that returns are measured by."""
    return [describe_run(run) for task in found.tasks for side in found.anchors(task) for run in side]


def reports(found: Selection) -> list[Origin]:
    """Flows and timings."""
    flows = [
        describe_flow(*pair, states, by_pair[pair].provenance)
        for pair in sorted(found.flows.keys() | found.visited.keys())
        for states, by_pair in (("sampled", found.flows), ("visited", found.visited))
        if pair in by_pair
    ]
    timings = [
        {"task": task, "method": DASH, **describe_origin(timing.provenance), "file": of_timing(task)}
        for task, timing in found.timing.items()
    ]
    return flows + timings


def versions(found: Selection) -> dict[str, str]:
    """Versions of libraries by the lock file that runs were made with."""
    origins = [run.record.provenance for runs in found.complete.values() for run in runs]
    return {
        (origin.lock_sha256 or "unknown")[:12]: ", ".join(
            f"{name} {one}" for name, one in sorted(origin.versions.items())
        )
        for origin in sorted(origins, key=lambda origin: origin.started)
    }
