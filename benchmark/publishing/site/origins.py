"""Where every number of the report is from: the runs, flows, timings and experiments behind its cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.publishing.tables.rendering import DASH, like
from benchmark.records.machine import machine_of
from benchmark.records.references import of_experiment, of_flow, of_runs, of_timing
from benchmark.records.results import Provenance
from benchmark.records.selection import CompleteRun, Selection

Origin = dict[str, Any]


def sources(found: Selection, folder: Path) -> dict[str, list[Origin]]:
    """Everything that numbers are from, by its name in :mod:`benchmark.records.references`."""
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
