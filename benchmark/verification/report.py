"""What verification says: one line a finding, and a total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from benchmark.records.results import Record, RunResult

Level = Literal["ok", "warning", "failed"]
# Of one kind of problem so many are named, since every run may have it.
NAMED = 5
LONGEST = 600


class Finding(Record):
    """What one check found.

    Attributes:
        level: Of a warning, a reader has to judge; ``--strict`` makes it a failure.
        check: Its name.
        message: What was found, and what to do.
    """

    level: Level
    check: str
    message: str


class Verification(Record):
    """Everything that the checks found.

    Attributes:
        path: What was verified.
        kind: Whether that is a run's JSON, a folder of them or a submission's TOML.
        runs: Runs that could be read.
        findings: In the order of the checks.
        verdict: Whether a check failed.
    """

    path: str
    kind: Literal["run", "folder", "submission"]
    runs: int
    findings: list[Finding]
    verdict: Literal["verified", "failed"]


class Findings:
    """Collects findings.

    Args:
        strict: Whether warnings count as failures.
    """

    def __init__(self, strict: bool = False) -> None:
        self.all: list[Finding] = []
        self._strict = strict

    def add(self, level: Level, check: str, message: str) -> None:
        """Note one finding; what a file holds is never printed as anything but one line of text."""
        text = "".join(mark if mark.isprintable() else "?" for mark in " ".join(message.split()))
        text = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
        raised: Level = "failed" if level == "warning" and self._strict else level
        self.all.append(Finding(level=raised, check=check, message=text))

    def conclude(self, check: str, problems: Sequence[str], fine: str, level: Level = "failed") -> bool:
        """Note every problem, the first few of many, or that there is none; says whether there is none."""
        for problem in problems[:NAMED]:
            self.add(level, check, problem)
        if len(problems) > NAMED:
            self.add(level, check, f"and {len(problems) - NAMED} more of these")
        if not problems:
            self.add("ok", check, fine)
        return not problems

    @property
    def failed(self) -> bool:
        """Whether a check failed."""
        return any(one.level == "failed" for one in self.all)


def run_name(run: RunResult) -> str:
    """A run in words."""
    return f"{run.task} {run.method} seed {run.seed}"


def listed(names: Sequence[str]) -> str:
    """The first few of many names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def lines(verification: Verification) -> list[str]:
    """A line for every finding, and the total."""
    counts = Counter(one.level for one in verification.findings)
    said = [f"{one.level:8}{one.check}: {one.message}" for one in verification.findings]
    warnings = f"{counts['warning']} warning" + ("" if counts["warning"] == 1 else "s")
    runs = f"{verification.runs} run" + ("" if verification.runs == 1 else "s")
    total = f"{counts['ok']} ok, {warnings}, {counts['failed']} failed, {runs} read"
    return [*said, f"{verification.verdict}: {total}"]
