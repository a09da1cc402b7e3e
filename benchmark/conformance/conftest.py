"""Options and parameters of the suite; failures that an earlier failure explains are skipped."""

from __future__ import annotations

import functools
from collections.abc import Generator
from typing import Any

import pytest
import torch

from benchmark.conformance.plugins import Selection, select
from benchmark.conformance.probes import ConstraintProbe
from benchmark.conformance.trial import MethodTrial
from envs.registry import TaskSpec, make_task
from methods.base import list_methods, method_class

# The gate that a plug-in failed, by plug-in and task; the check that showed a mistake first, by plug-in and mistake.
GATES = pytest.StashKey[dict[Any, str]]()
MISTAKES = pytest.StashKey[dict[Any, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that ``acrl check`` passes on."""
    group = parser.getgroup("acrl", "conformance")
    group.addoption("--acrl-plugin", metavar="PLUGIN", help="id of a method or task, or a file that registers some")
    group.addoption("--acrl-task", action="append", metavar="TASK", help="check methods on this task")
    group.addoption("--acrl-set", action="append", metavar="NAME=VALUE", help="a setting of the method")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and use one thread as the harness does."""
    torch.set_num_threads(1)
    config.addinivalue_line("markers", "gate: if it fails, the other checks of the same plug-in are skipped")
    config.stash[GATES], config.stash[MISTAKES] = {}, {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test per task, or per method and task."""
    selection = _selection(metafunc.config)
    for name in {"probe", "task"}.intersection(metafunc.fixturenames):
        metafunc.parametrize(name, selection.tasks, indirect=True, scope="session")
    if "method" in metafunc.fixturenames:
        # Only for one plug-in: all methods on all tasks take an hour.
        metafunc.parametrize("method", list_methods() if metafunc.config.getoption("acrl_plugin", None) else ())
    if "trial" in metafunc.fixturenames:
        pairs = [_pair(method, task) for method in selection.methods for task in selection.method_tasks]
        metafunc.parametrize("trial", pairs, indirect=True, scope="session")


@functools.cache
def _selection(config: pytest.Config) -> Selection:
    plugin, tasks, settings = (config.getoption(f"acrl_{name}", None) for name in ("plugin", "task", "set"))
    return select(plugin, tasks or (), settings or ())


def _pair(method: str, task: str) -> Any:
    why = method_class(method).needs_convex
    skipped = pytest.mark.skipif(bool(why) and not make_task(task).constraint.convex, reason=f"not convex: {why}")
    return pytest.param((method, task), id=f"{method}-{task}", marks=skipped)


@pytest.fixture(scope="session")
def probe(request: pytest.FixtureRequest) -> ConstraintProbe:
    """The constraint of a task."""
    return ConstraintProbe(make_task(request.param))


@pytest.fixture(scope="session")
def task(request: pytest.FixtureRequest) -> TaskSpec:
    """A task."""
    return make_task(request.param)


@pytest.fixture(scope="session")
def trial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MethodTrial:
    """A method on a task."""
    method, task = request.param
    settings = _selection(request.config).methods[method]
    return MethodTrial(method, make_task(task), settings, tmp_path_factory.getbasetemp() / "artifacts")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a gate that failed, and turn a failure into a skip if another check has shown its mistake."""
    report = yield
    if report.failed and call.excinfo:
        mistakes, mistake = item.config.stash[MISTAKES], _mistake(item, call.excinfo)
        first = mistakes.setdefault(mistake, item.name)
        if item.get_closest_marker("gate"):
            item.config.stash[GATES][_subject(item)] = first
        if first != item.name:
            report.outcome = "skipped"
            report.longrepr = (*report.location[:2], f"Skipped: see {first}")  # type: ignore[assignment]
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a check that a failed gate explains."""
    if gate := item.config.stash[GATES].get(_subject(item)):
        pytest.skip(f"see {gate}")


def _subject(item: Any) -> tuple[Any, ...]:
    """The subject of a test: a constraint, an environment, or a method on a task."""
    return tuple(entry for entry in item.callspec.params.items() if entry[0] in {"probe", "task", "trial"})


def _mistake(item: Any, caught: pytest.ExceptionInfo[BaseException]) -> tuple[Any, ...]:
    """The plug-in, and the place and type of the first error; for an assertion, the parameter ``question`` too."""
    error = caught.value
    while error.__cause__:
        error = error.__cause__
    end = pytest.ExceptionInfo.from_exception(error).traceback[-1]
    ((_, subject),) = _subject(item)
    plugin = subject[0] if isinstance(subject, tuple) else subject
    asked = item.callspec.params.get("question") if isinstance(error, AssertionError) else None
    return plugin, str(end.path), end.lineno, type(error), asked
