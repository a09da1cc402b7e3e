"""The suite's options and parameters, and gates: a check whose failure explains all others of the same plug-in."""

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
from methods.base import method_class

# By plug-in, the gate that it failed.
FAILED = pytest.StashKey[dict[Any, str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """What is checked, as ``acrl check`` takes it."""
    group = parser.getgroup("acrl", "conformance")
    group.addoption("--acrl-plugin", metavar="PLUGIN", help="id of a method or task, or a file that registers some")
    group.addoption("--acrl-task", action="append", metavar="TASK", help="check methods on this task")
    group.addoption("--acrl-set", action="append", metavar="NAME=VALUE", help="a setting of the method")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and compute as the harness does: with one thread."""
    torch.set_num_threads(1)
    config.addinivalue_line("markers", "gate: if it fails, the other checks of the same plug-in are skipped")
    config.stash[FAILED] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a task, or a method and task."""
    selection = _selection(metafunc.config)
    for name in {"probe", "task"}.intersection(metafunc.fixturenames):
        metafunc.parametrize(name, selection.tasks, indirect=True, scope="session")
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
    """A task's constraint."""
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
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a gate that failed."""
    report = yield
    if report.failed and item.get_closest_marker("gate"):
        item.config.stash[FAILED][_plugin(item)] = item.name.partition("[")[0]
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what a gate that failed explains."""
    gate = item.config.stash[FAILED].get(_plugin(item))
    if gate:
        pytest.skip(f"see {gate}")


def _plugin(item: Any) -> tuple[Any, ...]:
    """The plug-in that a test is of."""
    return tuple(entry for entry in item.callspec.params.items() if entry[0] in {"probe", "task", "trial"})
