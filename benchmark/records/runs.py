"""Runs by name: their keys, their files, and whether each is complete, stale or missing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from benchmark.records.config import Params, RunConfig, load_params, recorded_config, run_config
from benchmark.records.files import file_lock
from benchmark.records.keys import Versions, key_of, run_key, run_versions, shared_versions
from benchmark.records.provenance import library_versions, run_code
from benchmark.records.results import DamagedFileError, RunResult, read_run
from benchmark.records.store import set_aside
from benchmark.records.yaml import parse_given, unequal_settings
from envs.constraints import Box
from envs.errors import UserError
from envs.registry import TaskSpec, list_tasks, make_task
from methods.base import list_methods, method_class, parse_config

# Most changed settings that are named.
SETTINGS_NAMED = 3
State = Literal["complete", "failed", "timeout", "stale", "missing"]


@dataclass(frozen=True)
class Run:
    """A run, named by profile, task, method and seed.

    Attributes:
        profile: Profile of ``params.yaml``.
        task: Id of the task.
        method: Id of the method.
        seed: Seed of all randomness.
        given: Settings that differ from the profile's, ``--steps=N`` or ``--set=NAME=VALUE`` each. Such a run is not
            part of the profile and has another place.
        out: Path of its JSON, if not the profile's place.
    """

    profile: str
    task: str
    method: str
    seed: int
    given: tuple[str, ...] = ()
    out: Path | None = None

    def elsewhere(self, results: Path, out: Path | None, given: Sequence[str]) -> Run:
        """The same run with its own settings, or in another place.

        Args:
            results: Folder of all results.
            out: A JSON file or a folder; by default a run with its own settings goes to a folder below the profile's.
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
        """The folder of runs with these settings, and of the artifacts prepared for them."""
        return results / self.profile / "changed" / key_of({"given": self.given})[:12]

    def path(self, results: Path) -> Path:
        """Path of its JSON."""
        return self.out or self._file(results, "runs", "json")

    def kept(self, results: Path, key: str) -> Path:
        """Path of the copy of a complete JSON that stays when the pipeline deletes a stage's results to rerun it."""
        return results / self.profile / "kept" / f"{key}.json"

    def checkpoint(self, results: Path) -> Path:
        """Path of the last state of its method."""
        if self.out:
            return self.out.with_suffix(".safetensors")
        return self._file(results, "checkpoints", "safetensors")

    def policy(self, results: Path) -> Path:
        """Path to which `acrl export` writes its last policy."""
        return self._file(results, "policies", "safetensors")

    def unfinished(self, results: Path) -> Path:
        """Path of the state of an interrupted run."""
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
        """Its run key: a hash of everything it depends on."""
        return run_key(make_task(self.task), method_class(self.method), self.config(params), self.seed)

    def versions(self, params: Params) -> Versions:
        """Versions of everything it depends on, by name."""
        cls = method_class(self.method)
        return run_versions(make_task(self.task), cls, parse_config(cls, self.config(params).method))

    def code(self) -> str:
        """Hash of all code that affects it; recorded, but not part of the key."""
        return run_code(make_task(self.task), method_class(self.method))


def select(
    params: Params, profile: str, tasks: Sequence[str] = (), methods: Sequence[str] = (), seeds: Sequence[int] = ()
) -> Iterator[Run]:
    """Select the runs of a profile, or those of the given tasks, methods and seeds at its budget.

    If no methods are given, a task of the profile has all runs that the profile asks for, reference runs included and
    methods that are only timed excluded; an unconstrained task has only reference runs. Any other task has the
    profile's methods.

    Raises:
        UnknownIdError: If a profile, task or method is unknown.
    """
    chosen = params.profile(profile)
    asked = [*chosen.pairs, *reference_pairs(chosen.tasks, chosen.unconstrained)]
    if methods:
        pairs = list(itertools.product(tasks or chosen.tasks, methods))
    elif tasks:
        of_task = {task: [pair for pair in asked if pair[0] == task] for task in tasks}
        others = {task: list(itertools.product([task], chosen.methods)) for task in tasks}
        pairs = [pair for task in tasks for pair in of_task[task] or others[task]]
    else:
        pairs = asked
    # A profile's methods may be reference methods too.
    for task, method in dict.fromkeys(pairs):
        make_task(task)
        method_class(method)
        for seed in seeds or chosen.seeds:
            yield Run(profile, task, method, seed)


def state_of(run: Run, params: Params, results: Path) -> tuple[State, str]:
    """The state of a run's result against the present versions and settings, and a reason or note."""
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
    """Whether the key of a complete result is not the one that the present versions and settings give.

    Of a submitted method that is not installed, only the versions of protocol and task are known.
    """
    run = Run(result.profile, result.task, result.method, result.seed)
    if result.method in list_methods():
        return result.run_key != run.key(params)
    return bool(_raised(result, run, params))


def _raised(result: RunResult, run: Run, params: Params) -> list[tuple[str, int]]:
    """Names and present versions of what has another version than when a run was made."""
    installed = run.method in list_methods()
    now = run.versions(params) if installed else shared_versions(make_task(run.task))
    return [(name, version) for name, version in now.items() if result.versions.get(name) != version]


def why_stale(result: RunResult, run: Run, params: Params) -> str:
    """What was different when a run was made, in words."""
    then = result.versions
    raised = _raised(result, run, params)
    if raised:
        return "; ".join(f"version of {name} is {version}, was {then.get(name, 'none')}" for name, version in raised)
    recorded = recorded_config(result.config, run.method)
    changed = list(unequal_settings(run.config(params).model_dump(mode="json"), recorded))
    told = [f"{name} is {now}, was {then}" for name, now, then in changed[:SETTINGS_NAMED]]
    if len(changed) > SETTINGS_NAMED:
        told.append(f"and {len(changed) - SETTINGS_NAMED} more settings")
    return "; ".join(told) or "the task's environment or constraint has other parameters"


def set_damaged_aside(run: Run, params: Params, results: Path) -> list[str]:
    """Rename a run's JSON and its kept copy if they are damaged; return a line for each."""
    said = []
    for path in (run.path(results), run.kept(results, run.key(params))):
        if not path.exists():
            continue
        # Another sweep may be replacing it.
        with file_lock(run.unfinished(results)):
            try:
                if path.exists():
                    read_run(path)
            except DamagedFileError:
                said.append(set_aside(path))
    return said


def restore(run: Run, params: Params, results: Path) -> bool:
    """Restore a run's JSON from its kept copy, if key and libraries are the same; return whether it was."""
    kept = run.kept(results, run.key(params))
    if not kept.exists():
        return False
    result = read_run(kept)
    if result.provenance.versions != library_versions():
        return False
    result.write(run.path(results))
    return True


LOW_METHOD = "random-feasible"
# Without a constraint but the action box this is plain DDPG: there is nothing to project.
HIGH_METHOD = "ddpg-projection"
# Does nothing. Learning has to beat it; it is not part of the scale of scores.
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
    """Task and method of every run that defines the reference returns of ``tasks``."""
    return [(task, LOW_METHOD) for task in tasks] + [(task, HIGH_METHOD) for task in unconstrained]


def reference_pairs(tasks: Iterable[str], unconstrained: Iterable[str]) -> list[tuple[str, str]]:
    """Task and method of every run shown beside those of a profile's methods, reference returns first."""
    tasks = list(tasks)
    return [*anchor_pairs(tasks, unconstrained), *((task, IDLE_METHOD) for task in tasks)]


class NoRunsError(UserError):
    """There is no complete run of ``what``, by default the profile.

    The message names other profiles that have runs of ``method``.
    """

    def __init__(self, profile: str, results: Path, what: str = "", method: str = "*") -> None:
        what = what or f"profile '{profile}' in {results / profile}"
        others = or_choose(profile, results, method)
        super().__init__(f"no complete run of {what}: make runs with `acrl sweep -p {profile}`{others}")


def check_runs(profile: str, results: Path) -> None:
    """Refuse to make tables from no runs, which would replace those made from some.

    Raises:
        NoRunsError: If the profile has no runs, complete or not.
        UnknownIdError: If it has none and does not exist.
    """
    if profile not in profiles_with_runs(results):
        load_params().profile(profile)
        raise NoRunsError(profile, results)


def profiles_with_runs(results: Path, method: str = "*") -> list[str]:
    """Profiles that have a run of a method, or of any, complete or not."""
    found = results.glob(f"*/runs/*/{method}/seed-*.json")
    return sorted({path.relative_to(results).parts[0] for path in found})


def or_choose(profile: str, results: Path, method: str = "*") -> str:
    """The end of a message that names other profiles with runs; empty if there are none."""
    others = [f"-p {other}" for other in profiles_with_runs(results, method) if other != profile]
    return f", or choose a profile that has some: {', '.join(others)}" if others else ""
