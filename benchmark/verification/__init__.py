"""Verification of results: consistency checks, one run repeated, and the verdict."""

from __future__ import annotations

import functools
import itertools
import json
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.records.config import Params, RunConfig, config_around, recorded_config, run_config
from benchmark.records.keys import run_key
from benchmark.records.provenance import changed_files, mixed_libraries
from benchmark.records.results import RunResult
from benchmark.records.runs import HIGH_METHOD, IDLE_METHOD, LOW_METHOD, is_stale, select
from benchmark.records.selection import one_line
from benchmark.records.submissions import is_of_repository
from benchmark.records.yaml import unequal_settings
from benchmark.training.harness import Progress
from benchmark.verification import consistency, rerun
from benchmark.verification.report import Findings, Source, Verification, listed, read_source, run_name
from envs.errors import UserError
from envs.registry import make_task
from methods.base import list_methods, method_class

# Profile, task, method and seed.
Identity = tuple[str, str, str, int]


@dataclass(frozen=True)
class Options:
    """How to verify.

    Attributes:
        strict: Whether warnings are failures.
        rerun: Whether to repeat a run.
        rerun_steps: The most steps of it to repeat.
        results: Folder with flows that the repeated run may use.
        make_progress: Makes a progress display from a label and a number of steps.
    """

    strict: bool = False
    rerun: bool = True
    rerun_steps: int | None = None
    results: Path = Path("results")
    make_progress: Callable[[str, int], Progress] = lambda _label, _steps: lambda _: None


def verify(path: Path, params: Params, options: Options) -> Verification:
    """Check a run's JSON, a folder of them, or the runs of a submission.

    Raises:
        UserError: If there is nothing to verify, or a submission is not valid.
    """
    found = Findings(options.strict)
    source = read_source(path, found)
    if source.runs:
        absent = check_submissions(source, params, found) if source.submissions else frozenset()
        complete = check_complete_runs(source, params, found)
        sound = check_configurations(complete, absent, params, found)
        current = check_versions(complete, absent, params, found)
        check_libraries(complete, found)
        check_commits(complete, options, found)
        consistent = check_consistency(complete, found)
        if options.rerun:
            candidates = [run for run in complete if _identity(run) in sound & consistent]
            check_rerun(candidates, current, options, found)
    return Verification(
        path=str(path),
        kind=source.kind,
        runs=len(source.runs),
        findings=found.all,
        verdict="failed" if any(one.level == "failed" for one in found.all) else "verified",
    )


def check_submissions(source: Source, params: Params, found: Findings) -> frozenset[str]:
    """Check that no submitted method has the id of another one; return those whose code is not installed."""
    submissions, problems, absent = source.submissions, [], []
    profiles = {run.profile for run in source.runs} & params.profiles.keys()
    for method, submission in submissions.items():
        named = [profile for profile in sorted(profiles) if method in params.profile(profile).methods]
        if method in (LOW_METHOD, HIGH_METHOD, IDLE_METHOD):
            problems.append(f"'{method}' is a reference method; its runs are made here and cannot be submitted")
        elif named:
            problems.append(f"'{method}' is a method of profile {named[0]} itself: submit a method with another id")
        elif submission.package and is_of_repository(method):
            problems.append(f"'{method}' belongs to this repository, not to {submission.package}: choose another id")
        elif method not in list_methods():
            absent.append(method)
    found.conclude("submission", problems, "" if absent else "every submitted method is installed here")
    warnings = [
        f"'{method}' is not installed here, so its settings are not compared and none of its runs is "
        f"repeated: install {submissions[method].package or submissions[method].source}, and verify again"
        for method in absent
    ]
    found.conclude("submission", warnings, level="warning")
    return frozenset(absent)


def check_complete_runs(source: Source, params: Params, found: Findings) -> list[RunResult]:
    """Check that every run is complete, and count those that the profile asks for; return the complete ones."""
    runs = source.runs
    complete = [run for run in runs if run.status == "complete"]
    ended = [run for run in runs if run.status != "complete"]
    told = [f"{run_name(run)} is {run.status}, no result: {one_line(run.error)}" for run in ended]
    found.conclude("completeness", told)
    for profile in sorted({run.profile for run in runs}):
        try:
            of_profile = [run for run in complete if run.profile == profile]
            _count_runs(source, params, profile, of_profile, found)
        except UserError as error:
            found.add("failed", "completeness", str(error))
    return complete


def _count_runs(source: Source, params: Params, profile: str, runs: list[RunResult], found: Findings) -> None:
    chosen, methods = params.profile(profile), sorted({run.method for run in runs})
    timed = {(task, method) for method, tasks in chosen.only_timed.items() for task in tasks}
    every = list(itertools.product(chosen.tasks, methods, chosen.seeds))
    asked = [(task, method, seed) for task, method, seed in every if (task, method) not in timed]
    there = {_identity(run)[1:] for run in runs}
    missing = ["{} {} seed {}".format(*one) for one in asked if one not in there]
    said = f"{len(asked) - len(missing)} of {len(asked)} runs of {', '.join(methods)} in profile {profile}"
    if source.kind == "run" or not missing:
        found.add("ok", "completeness", said)
    else:
        found.add("warning", "completeness", f"{said}; missing: {listed(missing)}")
    known = {(run.task, run.method, run.seed) for run in select(params, profile)} | set(every)
    others = [run_name(run) for run in runs if _identity(run)[1:] not in known]
    beyond = [f"profile {profile} does not ask for {name}" for name in others]
    found.conclude("completeness", beyond, level="failed" if source.kind == "submission" else "warning")


def _identity(run: RunResult) -> Identity:
    return run.profile, run.task, run.method, run.seed


def check_configurations(runs: list[RunResult], absent: Set[str], params: Params, found: Findings) -> set[Identity]:
    """Check that every run has its profile's configuration in this checkout; return those that can be repeated.

    For methods in ``absent``, which are not installed, the methods' own settings are not compared.
    """

    @functools.cache
    def expected(profile: str, task: str, method: str) -> dict[str, Any]:
        if method in absent:
            return config_around(params, profile, task, {}).model_dump(mode="json")
        return run_config(params, profile, task, method).model_dump(mode="json")

    problems: list[str] = []
    sound: set[Identity] = set()
    for run in runs:
        try:
            here = expected(run.profile, run.task, run.method)
        except UserError as error:
            problems.append(
                f"{run_name(run)}: {error}; check out a commit that has it, or install the method's package"
            )
            continue
        there = {**run.config, "method": {}} if run.method in absent else recorded_config(run.config, run.method)
        if json.dumps(here, sort_keys=True) != json.dumps(there, sort_keys=True):
            told = [
                f"config.{setting} is {recorded[:80]} in the file and {ours[:80]} in this checkout"
                for setting, ours, recorded in unequal_settings(here, there)
            ]
            problems.append(f"{run_name(run)}: {'; '.join(told)}")
        elif run.method not in absent:
            sound.add(_identity(run))
    profiles = ", ".join(sorted({run.profile for run in runs}))
    found.conclude("configuration", problems, f"{len(runs)} of {len(runs)} match profile {profiles} here")
    return sound


def check_libraries(runs: list[RunResult], found: Findings) -> None:
    """Check that all runs were made with the same versions of libraries."""
    mixed = [f"runs were made with {one}" for one in mixed_libraries(run.provenance for run in runs)]
    found.conclude("libraries", mixed, f"{len(runs)} of {len(runs)} were made with the same versions", "warning")


def check_commits(runs: list[RunResult], options: Options, found: Findings) -> None:
    """Check that commits identify the code of the runs and of this checkout."""
    dirty = [run_name(run) for run in runs if run.provenance.dirty]
    warnings = []
    if dirty:
        warnings.append(
            f"{len(dirty)} of {len(runs)} were made with uncommitted changes, so no commit has their code: "
            f"{listed(dirty)}; commit the changes and repeat the runs"
        )
    if options.rerun and changed_files():
        warnings.append(
            "this checkout has uncommitted changes, so a run is repeated with code of no commit: commit or stash them"
        )
    if runs:
        clean = sum(run.provenance.dirty is False for run in runs)
        fine = f"{clean} of {len(runs)} were made without uncommitted changes"
        found.conclude("commits", warnings, fine, "warning")


def check_versions(runs: list[RunResult], absent: Set[str], params: Params, found: Findings) -> set[Identity]:
    """Check that every run's key has today's versions for its configuration; return the runs that pass.

    For methods in ``absent``, which are not installed, only versions of protocol and task are compared.
    """
    stale: list[str] = []
    current: set[Identity] = set()
    for run in runs:
        try:
            if run.method in absent:
                same = not is_stale(run, params)
            else:
                config = RunConfig.model_validate(run.config)
                same = run.run_key == run_key(make_task(run.task), method_class(run.method), config, run.seed)
        except (UserError, ValidationError):
            # Reported by the check of configurations.
            continue
        if same:
            current.add(_identity(run))
        else:
            commit = (run.provenance.commit or "unknown")[:12]
            stale.append(
                f"{run_name(run)} was made with other versions or settings than this checkout's (at commit {commit}): "
                "the checks cover its numbers, not what this code would compute; verify at that commit"
            )
    if runs:
        found.conclude(
            "versions",
            stale,
            f"{len(current)} of {len(runs)} match the versions and settings of this checkout",
            "warning",
        )
    return current


def check_consistency(runs: list[RunResult], found: Findings) -> set[Identity]:
    """Check that the numbers of every run are consistent; return the runs that pass."""
    wrong = {_identity(run): list(consistency.problems(run)) for run in runs}
    problems = [f"{run_name(run)}: {problem}" for run in runs for problem in wrong[_identity(run)]]
    found.conclude("consistency", problems, f"the numbers of {len(runs)} of {len(runs)} are consistent")
    return {identity for identity, several in wrong.items() if not several}


def check_rerun(runs: list[RunResult], current: set[Identity], options: Options, found: Findings) -> None:
    """Repeat one run and compare."""
    if not runs:
        found.add("warning", "rerun", "no run was repeated: none that can be made here passed the other checks")
        return
    run = rerun.shortest(runs)
    stretch = rerun.choose_stretch(run, options.rerun_steps)
    reasons = rerun.differences(run, _identity(run) in current)
    others = [one for one in runs if (one.profile, one.task, one.method) == (run.profile, run.task, run.method)]
    progress = functools.partial(options.make_progress, f"{run_name(run)}, again")
    started = time.perf_counter()
    try:
        again = rerun.repeat(run, stretch, options.results / run.profile, progress)
    except UserError as error:
        found.add("failed", "rerun", f"{run_name(run)} cannot be repeated: {error}")
        return
    compared = rerun.compare(run, again, stretch, reasons, others)
    length = "whole" if stretch.whole else f"up to step {stretch.steps:,} of {run.config['steps']:,}"
    took = f"{run_name(run)} repeated {length} in {time.perf_counter() - started:.0f} s"
    learned = rerun.learns_by(run)
    if compared.verdict.startswith("agrees") and any(learned) and not any(learned[: stretch.evaluations]):
        assert run.returns is not None
        enough = run.returns.evaluations[learned.index(True)].step
        idle = f"but nothing was learned by then: choose --rerun-steps of at least {enough}"
        compared = rerun.Comparison("undecided", f"{compared.detail}, {idle}")
    level = {"differs": "failed", "undecided": "warning"}.get(compared.verdict, "ok")
    found.add(level, "rerun", f"{compared.verdict}: {took}; {compared.detail}")  # type: ignore[arg-type]
