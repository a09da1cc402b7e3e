"""One side of a comparison: a run's JSON, a method's runs on disk, or the runs committed at a git revision."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmark.records.config import Params
from benchmark.records.results import RunResult, parse_record, read_run
from benchmark.records.runs import NoRunsError, is_stale, or_choose
from benchmark.records.selection import CompleteRun, Selection, arrange, check_comparable, check_complete, check_place
from benchmark.records.submissions import run_paths, submission_path
from envs.errors import UnknownIdError, UserError
from methods.base import list_methods


@dataclass(frozen=True)
class Side:
    """Complete runs of one profile.

    Attributes:
        label: What the runs are, in words.
        runs: Runs by task and method, each by seed.
        notes: Notes for the reader.
    """

    label: str
    profile: str
    runs: dict[tuple[str, str], list[CompleteRun]]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """Where to look for runs: only on these tasks and, at a revision, only of these methods, if any are named."""

    profile: str
    tasks: Sequence[str]
    methods: Sequence[str]
    results: Path


def make_sides(first: str, second: str, params: Params, choice: Choice) -> tuple[Side, Side]:
    """Both sides of a comparison, each named by the path of a run's JSON, the id of a method or a git revision.

    A revision has the runs of many methods: only those of ``choice.methods`` are taken, or those of the other side if
    that is a method or a run.

    Raises:
        UserError: If a name is none of these, a side has no complete run, or a file is damaged.
    """
    sides = [_side(name, params, choice) for name in (first, second)]
    methods = choice.methods or [method for side in sides if side for _, method in side.runs]
    wanted = replace(choice, methods=methods)
    a, b = (side or _at_revision(name, wanted) for side, name in zip(sides, (first, second), strict=True))
    return a, b


def _side(name: str, params: Params, choice: Choice) -> Side | None:
    """The side of a run or a method; None if the name can only be a revision."""
    if name.endswith(".json") or Path(name).is_file():
        run = read_run(Path(name))
        label = f"{name} ({run.task} {run.method} seed {run.seed})"
        return _gather(label, run.profile, [(Path(name), run)], choice.results)
    if name in list_methods() or submission_path(choice.results / choice.profile, name).exists():
        return _of_method(name, params, choice)
    return None


def _of_method(method: str, params: Params, choice: Choice) -> Side:
    params.profile(choice.profile)
    folder = choice.results / choice.profile / "runs"
    paths = run_paths(folder.parent, method)
    found = [(path, read_run(path)) for path in paths if not choice.tasks or path.parts[-3] in choice.tasks]
    for path, run in found:
        check_place(path, run, choice.profile)
    side = _gather(f"{method} ({folder})", choice.profile, found, choice.results, method)
    if method not in list_methods():
        side.notes.append("its code is not installed here, so only the versions of protocol and task are compared")
    runs = [one.record for several in side.runs.values() for one in several]
    if stale := sum(is_stale(run, params) for run in runs):
        side.notes.append(f"{stale} of {len(runs)} runs are stale: their versions or settings are not today's")
    return side


def _at_revision(revision: str, choice: Choice) -> Side:
    name = f"{revision}^{{commit}}"
    commit = _git(f"'{revision}'", "rev-parse", "--verify", "--quiet", "--end-of-options", name).decode().strip()
    found = []
    for path, content in _committed(commit, choice):
        run = parse_record(content, f"{revision}:{path}", RunResult)
        check_place(Path(path), run, choice.profile)
        if run.task in (choice.tasks or [run.task]) and run.method in (choice.methods or [run.method]):
            found.append((Path(path), run))
    return _gather(f"{revision} ({commit[:12]})", choice.profile, found, choice.results)


def _committed(commit: str, choice: Choice) -> Iterator[tuple[str, bytes]]:
    """Every run of the profile at a commit, read from git without touching the files on disk."""
    folder = os.path.relpath(choice.results / choice.profile / "runs")
    others = or_choose(choice.profile, choice.results)
    what = f"{folder} at {commit[:12]}: no run of this profile is committed there{others}"
    archive = _git(what, "archive", "--format=tar", commit, "--", folder)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None and Path(member.name).match("*/*/seed-*.json"):
                yield member.name, file.read()


def _git(what: str, *arguments: str) -> bytes:
    """The output of git in the working directory.

    Raises:
        UserError: If git fails, because ``what`` does not exist.
    """
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=True).stdout
    except OSError as error:
        raise UserError(f"cannot run git: {error.strerror}; install it to compare with a revision") from error
    except subprocess.CalledProcessError as error:
        if arguments[0] == "archive":
            raise UserError(f"git has no {what}") from error
        unknown = UnknownIdError("method", what.strip("'"), list_methods())
        raise UserError(f"{what} is not a run's JSON, a method or a git revision: {unknown}") from error


def _gather(
    label: str, profile: str, found: Sequence[tuple[Path, RunResult]], results: Path, method: str = "*"
) -> Side:
    """The complete runs among some, in order.

    Raises:
        UserError: If there is none, or seeds of a task and method had different settings.
    """
    complete: dict[tuple[str, str], list[CompleteRun]] = {}
    for path, run in found:
        if run.status == "complete":
            complete.setdefault((run.task, run.method), []).append(check_complete(path, run))
    if not complete:
        raise NoRunsError(profile, results, f"{label} in profile '{profile}'", method)
    seeds = sorted({run.seed for _, run in found})
    selection = Selection(profile, (), tuple({method for _, method in complete}), tuple(seeds), complete=complete)
    arrange(selection)
    check_comparable(selection)
    ended = sum(run.status != "complete" for _, run in found)
    notes = [f"{ended} of {len(found)} runs are not complete and are left out"] if ended else []
    return Side(f"{label}, profile {profile}", profile, complete, notes)
