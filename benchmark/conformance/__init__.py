"""The conformance suite: what a method or task must do to be benchmarked.

Each check is a pytest test in a file ``test_*.py``. ``acrl check`` runs them on any registered method or task, in the
real harness and the real environments.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmark.conformance.plugins import select

FOLDER = Path(__file__).parent
TASK_CHECKS = ("test_constraints.py", "test_environments.py")
METHOD_CHECKS = ("test_methods.py",)
# The configuration of the user's own tests does not apply; they may be in the same folder.
OPTIONS = (f"-c{os.devnull}", f"--rootdir={FOLDER}", "--import-mode=importlib", "--no-header", "--tb=short", "-rfEs")


class Verdicts:
    """A pytest plug-in that keeps the outcome of each check as plain data."""

    def __init__(self) -> None:
        self.all: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome of a check, or of a setup or teardown that failed."""
        if report.when == "call" or not report.passed:
            check, _, subject = report.nodeid.rpartition("::")[2].partition("[")
            verdict = {"check": check, "subject": subject.rstrip("]"), "outcome": report.outcome}
            self.all.append({**verdict, "message": _message(report), "seconds": report.duration})


def run_checks(
    plugin: str | Path | None, tasks: Sequence[str] = (), settings: Sequence[str] = (), options: Sequence[str] = ()
) -> tuple[int, list[dict[str, Any]]]:
    """Run the suite with these pytest ``options``; pytest's output goes to stdout.

    Returns:
        pytest's exit code, and the outcome of each check.

    Raises:
        UserError: If an id, a file or a setting is wrong; see :func:`select`.
    """
    selection, verdicts = select(plugin, tasks, settings), Verdicts()
    files = [*(TASK_CHECKS if selection.tasks else ()), *(METHOD_CHECKS if selection.methods else ())]
    given = [f"--acrl-task={task}" for task in tasks] + [f"--acrl-set={setting}" for setting in settings]
    given += [] if plugin is None else [f"--acrl-plugin={plugin}"]
    cache = f"cache_dir={Path.cwd() / '.pytest_cache'}"
    arguments = [*OPTIONS, "-o", cache, *given, *options, *(str(FOLDER / file) for file in files)]
    return int(pytest.main(arguments, plugins=[verdicts])), verdicts.all


def assert_conforms(plugin: str | Path, tasks: Sequence[str] = ()) -> None:
    """Run all checks of a method, a task, or what a file registers, inside a test.

    Raises:
        AssertionError: If a check fails; pytest's output on stdout says which and why.
        UserError: As :func:`run_checks`.
    """
    code, _ = run_checks(plugin, tasks)
    assert code == 0, f"{plugin} does not conform; see pytest's output above"


def _message(report: pytest.TestReport) -> str:
    """One line: the message of an assertion, an exception with its place, or the reason of a skip."""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return ""
    line = str(crash.message).partition("\n")[0]
    own = line.removeprefix("AssertionError: ")
    return own if own != line else f"{line} ({Path(crash.path).name}, line {crash.lineno})"
