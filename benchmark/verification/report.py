"""The input of verification and its report: one line per finding, and a total."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.records.results import Record, RunResult, read_run
from benchmark.records.selection import check_name
from benchmark.records.submissions import Submission, read_submission, run_paths, submission_path
from envs.errors import UserError

Level = Literal["ok", "warning", "failed"]
# The most problems of one kind to name, since every run may have it.
NAMED = 5
LONGEST = 600


class Finding(Record):
    """The outcome of one check.

    Attributes:
        level: ``ok``, ``warning`` or ``failed``. ``--strict`` turns warnings into failures.
        check: Name of the check, as ``acrl verify --help`` lists it.
        message: What was found, and what to do.
    """

    level: Level
    check: str
    message: str


class Verification(Record):
    """The outcome of all checks.

    Attributes:
        path: What was verified.
        kind: ``run``, ``folder`` or ``submission``.
        runs: Number of readable runs.
        findings: Outcome of each check, in order.
        verdict: ``verified``, or ``failed`` if a check failed.
    """

    path: str
    kind: Literal["run", "folder", "submission"]
    runs: int
    findings: list[Finding]
    verdict: Literal["verified", "failed"]

    def lines(self) -> list[str]:
        """One line per finding, and the total."""
        counts = Counter(one.level for one in self.findings)
        warnings = f"{counts['warning']} warning" + ("" if counts["warning"] == 1 else "s")
        runs = f"{self.runs} run" + ("" if self.runs == 1 else "s")
        total = f"{counts['ok']} ok, {warnings}, {counts['failed']} failed, {runs} read"
        return [*(f"{one.level:8}{one.check}: {one.message}" for one in self.findings), f"{self.verdict}: {total}"]


class Findings:
    """Collects findings; ``strict`` counts warnings as failures."""

    def __init__(self, strict: bool = False) -> None:
        self.all: list[Finding] = []
        self._strict = strict

    def add(self, level: Level, check: str, message: str) -> None:
        """Add one finding; text from files is printed as one plain line."""
        text = "".join(mark if mark.isprintable() else "?" for mark in " ".join(message.split()))
        text = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
        raised: Level = "failed" if level == "warning" and self._strict else level
        self.all.append(Finding(level=raised, check=check, message=text))

    def conclude(self, check: str, problems: Sequence[str], fine: str = "", level: Level = "failed") -> None:
        """Add the problems, or only the first if there are many; without problems, add ``fine``, unless it is empty."""
        for problem in problems[:NAMED]:
            self.add(level, check, problem)
        if len(problems) > NAMED:
            self.add(level, check, f"and {len(problems) - NAMED} more like these")
        if fine and not problems:
            self.add("ok", check, fine)


def run_name(run: RunResult) -> str:
    """The name of a run, such as ``HC+O nfw seed 0``."""
    return f"{run.task} {run.method} seed {run.seed}"


def listed(names: Sequence[str]) -> str:
    """The first few names, and the number of further ones."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


@dataclass(frozen=True)
class Source:
    """Runs with readable files in the right places, and the submissions of their methods, if any."""

    kind: Literal["run", "folder", "submission"]
    runs: list[RunResult]
    submissions: dict[str, Submission]


def read_source(path: Path, found: Findings) -> Source:
    """Read the runs at ``path``, and report problems of the files themselves.

    Raises:
        UserError: If there is nothing to verify, or a submission is not valid.
    """
    if path.suffix == ".toml":
        submission = read_submission(path)
        folder = Path(os.path.relpath(path.resolve().parents[1]))
        runs = _read_runs(run_paths(folder, path.stem), found)
        return Source("submission", list(runs.values()), {path.stem: submission})
    if not path.exists():
        raise UserError(f"no such file: {path}")
    files = _run_files(path) if path.is_dir() else [path]
    if not files:
        raise UserError(f"{path} contains no .json: give a run's JSON, a folder of them, or a submission's TOML")
    runs = _read_runs(files, found)
    return Source("folder" if path.is_dir() else "run", list(runs.values()), _submissions_beside(runs))


def _run_files(folder: Path) -> list[Path]:
    # A profile's folder of results also has reports on flows and timings.
    root = folder / "runs" if (folder / "runs").is_dir() else folder
    return [path for path in sorted(root.rglob("*.json")) if path.is_file() and not path.name.startswith(".")]


def _submissions_beside(files: Iterable[Path]) -> dict[str, Submission]:
    """The submissions of the methods whose runs are in these files."""
    found = {}
    for folder in sorted({file.parent.resolve() for file in files}):
        path = submission_path(folder.parents[2], folder.name)
        if path.exists():
            found[folder.name] = read_submission(path)
    return found


def _read_runs(files: Sequence[Path], found: Findings) -> dict[Path, RunResult]:
    """The runs in these files; damaged, misplaced and undigested ones are reported."""
    runs: dict[Path, RunResult] = {}
    problems, undigested = [], []
    for file in files:
        try:
            run = read_run(file)
            check_name(file, f"{run.profile}/runs/{run.task}/{run.method}/seed-{run.seed}.json")
        except UserError as error:
            problems.append(str(error))
            continue
        runs[file] = run
        if not run.provenance.sha256:
            undigested.append(str(file))
    found.conclude("files", problems)
    if undigested:
        few = f"{len(undigested)} of {len(runs)} have no digest, so damage would go unnoticed"
        found.add("warning", "files", f"{few}: {listed(undigested)}")
    if not problems and not undigested:
        found.add("ok", "files", f"{len(runs)} of {len(runs)} have the right schema, digest and place")
    return runs
