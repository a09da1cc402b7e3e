"""What a page of results says about its runs: budget, seeds, commits, failures, stale runs."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from benchmark.records.provenance import mixed_libraries
from benchmark.records.runs import anchor_pairs, unconstrained_task
from benchmark.records.selection import Selection, commits, one_line
from envs.registry import make_task

# Runs outside the selection that a note names one by one.
NAMED = 3


def describe(found: Selection) -> str:
    """Profile, budget and seeds in one sentence, followed by the tasks without a run."""
    steps = {task: found.steps(task) for task in found.tasks}
    known = {task: number for task, number in steps.items() if number is not None}
    if len(set(known.values())) == 1:
        budget = f"{next(iter(known.values())):,} steps"
    else:
        budget = ", ".join(f"{task} {number:,} steps" for task, number in known.items()) or "unknown, no complete run"
    seeds = ", ".join(str(seed) for seed in found.seeds)
    first = f"Profile {found.label}; budget: {budget}; seeds: {seeds} (N = {len(found.seeds)})."
    return " ".join([first, *describe_unbegun(found)])


def describe_unbegun(found: Selection) -> list[str]:
    """The tasks without a complete run, and what else exists for them, and the methods without one."""
    kinds: dict[str, list[str]] = {}
    for task in found.tasks:
        if task not in found.begun():
            flow, timed = any(of == task for of, _ in found.flows), task in found.timing
            kept = " and ".join(name for name, there in (("flows", flow), ("timing", timed)) if there)
            kinds.setdefault(f"made: {kept}" if kept else "left out", []).append(task)
    lacking = [f"No method has been trained yet on {', '.join(tasks)} ({kind})." for kind, tasks in kinds.items()]
    methods = [method for method in found.methods if not any(found.runs(task, method) for task in found.tasks)]
    return [*lacking, *([f"No run yet of {', '.join(methods)}."] if methods else [])]


def describe_anchors(found: Selection) -> str:
    """How many reference runs are complete, and the commits that made them."""
    free = filter(None, (unconstrained_task(make_task(task)) for task in found.tasks))
    pairs = list(dict.fromkeys(anchor_pairs(found.tasks, free)))
    runs = [run for pair in pairs for run in found.runs(*pair)]
    made = f", made at commit {commits([run.record.provenance for run in runs])}" if runs else ""
    return f"{len(runs)} of {len(pairs) * len(found.seeds)} reference runs are complete{made}."


def caveats(found: Selection) -> list[str]:
    """What a reader must know of the runs: failed, stale, left out, of mixed libraries or versions."""
    return [*describe_failures(found), *describe_libraries(found), *describe_versions(found)]


def describe_libraries(found: Selection) -> list[str]:
    """A note if the runs were made with different versions of libraries."""
    mixed = mixed_libraries(run.record.provenance for run in found.everything())
    return [f"Runs were made with different versions of libraries: {'; '.join(mixed)}."] if mixed else []


def describe_versions(found: Selection) -> list[str]:
    """A note on rows whose seeds were made with different versions."""
    mixed = [
        f"{task} {method}"
        for (task, method), runs in found.complete.items()
        if any(run.record.versions != runs[0].record.versions for run in runs)
    ]
    if not mixed:
        return []
    made = f"acrl sweep -p {found.profile}"
    return [f"Means over seeds of different versions, until `{made}` replaces them: {', '.join(mixed)}."]


def describe_failures(found: Selection) -> list[str]:
    """A note for every run that failed or timed out, one on stale runs, and one on runs outside the selection."""
    notes = [
        f"{run.task}, {run.method}, seed {run.seed} {'timed out' if run.status == 'timeout' else 'failed'} "
        f"and counts as missing: {one_line(run.error)}"
        for run in found.failures
    ]
    if found.stale:
        notes.append(
            f"Stale, made with other versions or settings than today's: {sum(found.stale.values())} runs of "
            f"{', '.join(found.stale)}. See acrl status -p {found.profile} for why."
        )
    if found.unused:
        named, more = found.unused[:NAMED], len(found.unused) - NAMED
        rest = [f"{more} more"] if more > 0 else []
        notes.append(f"Not part of this selection, so not shown: {', '.join([*named, *rest])}.")
    return notes


def describe_only_timed(found: Selection) -> Iterator[str]:
    """What is said of each method that is timed and not run on some tasks."""
    for method, tasks in found.only_timed.items():
        yield f"On {' and '.join(tasks)}, {method} is timed and not trained"


def notes_of_cells(marked: pd.DataFrame) -> list[str]:
    """Each note of a frame once, with the tasks and methods of its cells."""
    lines = []
    for note, rows in marked.groupby("note", sort=False):
        methods = rows.groupby("task", sort=False)["method"].unique()
        lines.append(f"{note}: " + "; ".join(f"{task} ({', '.join(names)})" for task, names in methods.items()) + ".")
    return lines
