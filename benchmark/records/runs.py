"""One run by its name: what it depends on, where its result lies, whether it is asked for today, or missing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from benchmark.records.config import Params, RunConfig, recorded_config, run_config
from benchmark.records.files import file_lock
from benchmark.records.keys import Versions, key_of, run_key, run_versions
from benchmark.records.provenance import library_versions, run_code
from benchmark.records.results import DamagedFileError, RunResult, read_run
from benchmark.records.store import set_aside
from benchmark.records.yaml import parse_given, unequal_settings
from envs.constraints import Box
from envs.errors import UserError
from envs.registry import TaskSpec, list_tasks, make_task
from methods.base import method_class, parse_config

# Of settings that changed, so many are named.
SETTINGS_NAMED = 3
State = Literal["complete", "failed", "timeout", "stale", "missing"]


@dataclass(frozen=True)
class Run:
    """A run's name: profile, task, method and seed.

    Attributes:
        given: What differs from the profile's settings, ``--steps=N`` or ``--set=NAME=VALUE`` each; such a run is none
            of the profile's, and lies elsewhere.
        out: Where its JSON lies, if not in the profile's place.
    """

    profile: str
    task: str
    method: str
    seed: int
    given: tuple[str, ...] = ()
    out: Path | None = None

    def elsewhere(self, results: Path, out: Path | None, given: Sequence[str]) -> Run:
        """The same with settings of its own, or in another place.

        Args:
            results: Folder of all results.
            out: A JSON file, or a folder; a run with settings of its own has one below the profile's by default.
            given: See :class:`Run`.

        Raises:
            UserError: If ``out`` is among the runs of a profile.
        """
        run = replace(self, given=tuple(sorted(given)))
        if given and out is None:
            out = run.changed(results)
        if out is None:
            return run
        if out.suffix != ".json":
            out = out / self.task / self.method / f"seed-{self.seed}.json"
        place, root = out.resolve(), results.resolve()
        if place.is_relative_to(root) and place.relative_to(root).parts[1:2] == ("runs",):
            raise UserError(f"{out} lies among the runs of a profile: choose another place for --out")
        return replace(run, out=out)

    def changed(self, results: Path) -> Path:
        """The folder of runs with these settings, and of what is prepared for them."""
        return results / self.profile / "changed" / key_of({"given": self.given})[:12]

    def path(self, results: Path) -> Path:
        """Where its JSON lies."""
        return self.out or self._file(results, "runs", "json")

    def kept(self, results: Path, key: str) -> Path:
        """Where a copy of a complete JSON stays when the pipeline removes a stage's results to rerun it."""
        return results / self.profile / "kept" / f"{key}.json"

    def checkpoint(self, results: Path) -> Path:
        """Where the last state of its method lies."""
        if self.out:
            return self.out.with_suffix(".safetensors")
        return self._file(results, "checkpoints", "safetensors")

    def policy(self, results: Path) -> Path:
        """Where `acrl export` puts its last policy."""
        return self._file(results, "policies", "safetensors")

    def unfinished(self, results: Path) -> Path:
        """Where a run that was interrupted left its state."""
        if self.out:
            return self.out.with_suffix(".unfinished")
        return self._file(results, "unfinished/runs", "safetensors")

    def _file(self, results: Path, folder: str, suffix: str) -> Path:
        return results / self.profile / folder / self.task / self.method / f"seed-{self.seed}.{suffix}"

    def config(self, params: Params) -> RunConfig:
        """Its full configuration."""
        settings = parse_given([one.removeprefix("--set=") for one in self.given if one.startswith("--set=")])
        config = run_config(params, self.profile, self.task, self.method, settings)
        steps = [int(one.removeprefix("--steps=")) for one in self.given if one.startswith("--steps=")]
        return config.model_copy(update={"steps": steps[0]}) if steps else config

    def __str__(self) -> str:
        return " ".join([self.task, self.method, f"seed {self.seed}", *self.given])

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

    Without methods, a task of the profile has all runs that the profile asks of it: those of the references are among
    them, and of an unconstrained task they are all. Any other task has the profile's methods.

    Raises:
        UnknownIdError: If a profile, task or method is unknown.
    """
    chosen = params.profile(profile)
    asked = [*itertools.product(chosen.tasks, chosen.methods), *reference_pairs(chosen.tasks, chosen.unconstrained)]
    if methods:
        pairs = list(itertools.product(tasks or chosen.tasks, methods))
    elif tasks:
        of_task = {task: [pair for pair in asked if pair[0] == task] for task in tasks}
        others = {task: list(itertools.product([task], chosen.methods)) for task in tasks}
        pairs = [pair for task in tasks for pair in of_task[task] or others[task]]
    else:
        pairs = asked
    # A profile's methods may be references.
    for task, method in dict.fromkeys(pairs):
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
    recorded = recorded_config(result.config, run.method)
    changed = list(unequal_settings(run.config(params).model_dump(mode="json"), recorded))
    told = [f"{name} is {now}, was {then}" for name, now, then in changed[:SETTINGS_NAMED]]
    if len(changed) > SETTINGS_NAMED:
        told.append(f"and {len(changed) - SETTINGS_NAMED} more settings")
    return "; ".join(told) or "the task's environment or constraint has other parameters"


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


LOW_METHOD = "random-feasible"
# On a task with its action box alone this is plain DDPG: nothing is left to project.
HIGH_METHOD = "ddpg-projection"
# Does nothing: what learning has to beat. It enters no scale.
IDLE_METHOD = "hold"


def unconstrained_task(task: TaskSpec) -> str | None:
    """Id of the task with the same environment and no constraint but the action box; None if there is none."""
    environment = (task.env_id, task.entry_point, dict(task.env_kwargs), task.max_episode_steps)
    for other in map(make_task, list_tasks()):
        same = (other.env_id, other.entry_point, dict(other.env_kwargs), other.max_episode_steps) == environment
        if same and type(other.constraint) is Box:
            return other.id
    return None


def anchor_pairs(tasks: Iterable[str], unconstrained: Iterable[str]) -> list[tuple[str, str]]:
    """Task and method of every run that the returns of ``tasks`` are measured by."""
    return [(task, LOW_METHOD) for task in tasks] + [(task, HIGH_METHOD) for task in unconstrained]


def reference_pairs(tasks: Iterable[str], unconstrained: Iterable[str]) -> list[tuple[str, str]]:
    """Task and method of every run that is shown beside those of a profile's methods, those of anchors first."""
    tasks = list(tasks)
    return [*anchor_pairs(tasks, unconstrained), *((task, IDLE_METHOD) for task in tasks)]


class NoRunsError(UserError):
    """There is no complete run of what a command is about, by default the profile itself.

    Other profiles are named if they have runs of ``method``.
    """

    def __init__(self, profile: str, results: Path, what: str = "", method: str = "*") -> None:
        what = what or f"profile '{profile}' in {results / profile}"
        others = or_choose(profile, results, method)
        super().__init__(f"no complete run of {what}: make runs with `acrl sweep -p {profile}`{others}")


def check_runs(profile: str, results: Path) -> None:
    """Refuse to make anything from no runs, which would replace what was made from some.

    Raises:
        NoRunsError: If the profile has none, whether complete or not.
    """
    if profile not in profiles_with_runs(results):
        raise NoRunsError(profile, results)


def profiles_with_runs(results: Path, method: str = "*") -> list[str]:
    """Profiles that have a run, complete or not, of a method or of any."""
    found = results.glob(f"*/runs/*/{method}/seed-*.json")
    return sorted({path.relative_to(results).parts[0] for path in found})


def or_choose(profile: str, results: Path, method: str = "*") -> str:
    """The end of an error that names the other profiles that have runs; empty if there are none."""
    others = [f"-p {other}" for other in profiles_with_runs(results, method) if other != profile]
    return f", or choose a profile that has some: {', '.join(others)}" if others else ""
