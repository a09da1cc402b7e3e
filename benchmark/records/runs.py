"""One run by its name: what it depends on, where its result lies, and whether that is what is asked for today."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.records.anchors import anchor_pairs
from benchmark.records.config import Params, RunConfig, run_config, unequal_settings
from benchmark.records.files import file_lock
from benchmark.records.keys import Versions, run_key, run_versions
from benchmark.records.provenance import library_versions, run_code
from benchmark.records.results import DamagedFileError, RunResult, read_run
from benchmark.records.store import set_aside
from envs.registry import make_task
from methods.base import method_class, parse_config

# Of settings that changed, so many are named.
SETTINGS_NAMED = 3
State = Literal["complete", "failed", "timeout", "stale", "missing"]


@dataclass(frozen=True)
class Run:
    """A run's name: profile, task, method and seed."""

    profile: str
    task: str
    method: str
    seed: int

    def path(self, results: Path) -> Path:
        """Where its JSON lies."""
        return results / self.profile / "runs" / self.task / self.method / f"seed-{self.seed}.json"

    def kept(self, results: Path, key: str) -> Path:
        """Where a copy of a complete JSON stays when the pipeline removes a stage's results to rerun it."""
        return results / self.profile / "kept" / f"{key}.json"

    def checkpoint(self, results: Path) -> Path:
        """Where the last state of its method lies."""
        return results / self.profile / "checkpoints" / self.task / self.method / f"seed-{self.seed}.safetensors"

    def unfinished(self, results: Path) -> Path:
        """Where a run that was interrupted left its state."""
        return (
            results / self.profile / "unfinished" / "runs" / self.task / self.method / f"seed-{self.seed}.safetensors"
        )

    def config(self, params: Params) -> RunConfig:
        """Its full configuration."""
        return run_config(params, self.profile, self.task, self.method)

    def key(self, params: Params) -> str:
        """What it depends on, as one hash."""
        return run_key(make_task(self.task), method_class(self.method), self.config(params), self.seed)

    def versions(self, params: Params) -> Versions:
        """Versions of all that it depends on, by name."""
        cls = method_class(self.method)
        return run_versions(make_task(self.task), cls, parse_config(cls, self.config(params).method))

    def code(self) -> str:
        """Hash of all code that bears on it, which is noted and is in no key."""
        return run_code(make_task(self.task), method_class(self.method))


def select(
    params: Params, profile: str, tasks: Sequence[str] = (), methods: Sequence[str] = (), seeds: Sequence[int] = ()
) -> Iterator[Run]:
    """The runs of a profile, or those of the given tasks, methods and seeds at its budget.

    Without methods, a task of the profile has all runs that the profile asks of it: those that returns are measured by
    are among them, and of an unconstrained task they are all. Any other task has the profile's methods.

    Raises:
        UnknownIdError: If a profile, task or method is unknown.
    """
    chosen = params.profile(profile)
    asked = [*itertools.product(chosen.tasks, chosen.methods), *anchor_pairs(chosen.tasks, chosen.unconstrained)]
    if methods:
        pairs = list(itertools.product(tasks or chosen.tasks, methods))
    elif tasks:
        of_task = {task: [pair for pair in asked if pair[0] == task] for task in tasks}
        others = {task: list(itertools.product([task], chosen.methods)) for task in tasks}
        pairs = [pair for task in tasks for pair in of_task[task] or others[task]]
    else:
        pairs = asked
    for task, method in pairs:
        make_task(task)
        method_class(method)
        for seed in seeds or chosen.seeds:
            yield Run(profile, task, method, seed)


def state_of(run: Run, params: Params, results: Path) -> tuple[State, str]:
    """Whether a run's result is there and is what the profile asks for today, and what is to be known of it."""
    path = run.path(results)
    if not path.exists():
        return "missing", ""
    result = read_run(path)
    if result.status != "complete":
        return result.status, result.error or ""
    if result.run_key != run.key(params):
        return "stale", why_stale(result, run, params)
    return "complete", "code changed since" if result.provenance.code_sha256 != run.code() else ""


def is_stale(result: RunResult, params: Params) -> bool:
    """Whether a complete result is not what its profile asks for today."""
    return result.run_key != Run(result.profile, result.task, result.method, result.seed).key(params)


def why_stale(result: RunResult, run: Run, params: Params) -> str:
    """What of a run was different when it was made, in words."""
    then = result.versions
    raised = [(name, version) for name, version in run.versions(params).items() if then.get(name) != version]
    if raised:
        return "; ".join(f"version of {name} is {version}, was {then.get(name, 'none')}" for name, version in raised)
    changed = list(unequal_settings(run.config(params).model_dump(mode="json"), result.config))
    told = [f"{name} is {now}, was {then}" for name, now, then in changed[:SETTINGS_NAMED]]
    if len(changed) > SETTINGS_NAMED:
        told.append(f"and {len(changed) - SETTINGS_NAMED} more settings")
    if told:
        return "; ".join(told)
    return "the task's environment or constraint has other parameters"


def set_damaged_aside(run: Run, params: Params, results: Path) -> list[str]:
    """Take a run's damaged JSON, or the kept copy of it, out of the way; a line for each that says so."""
    said = []
    for path in (run.path(results), run.kept(results, run.key(params))):
        if not path.exists():
            continue
        # Another sweep may be putting a whole one in its place.
        with file_lock(run.unfinished(results)):
            try:
                if path.exists():
                    read_run(path)
            except DamagedFileError:
                said.append(set_aside(path))
    return said


def restore(run: Run, params: Params, results: Path) -> bool:
    """Put a finished run's JSON back in its place if a copy of the same key and libraries was kept; says whether."""
    kept = run.kept(results, run.key(params))
    if not kept.exists():
        return False
    result = read_run(kept)
    if result.provenance.versions != library_versions():
        return False
    result.write(run.path(results))
    return True
