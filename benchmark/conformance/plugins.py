"""Selects what is checked: a method, a task, what a file registers, or everything."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmark.conformance.trial import small_settings
from benchmark.records.yaml import parse_given
from envs.errors import UnknownIdError, UserError
from envs.registry import list_tasks, make_task
from methods.base import list_methods, method_class

# Independent of the state, dependent on it, and with an equality.
METHOD_TASKS = ("R+L2", "HC+O", "BSS-3")
# Methods and tasks.
Ids = tuple[list[str], list[str]]


class Selection(NamedTuple):
    """What to check.

    Attributes:
        tasks: Tasks whose constraint and environment are checked.
        methods: Methods that are checked, with small settings.
        method_tasks: Tasks on which methods are checked.
    """

    tasks: Sequence[str]
    methods: Mapping[str, dict[str, Any]]
    method_tasks: Sequence[str]


def select(plugin: str | Path | None, tasks: Sequence[str] = (), given: Sequence[str] = ()) -> Selection:
    """Select what to check.

    Args:
        plugin: Id of a method or task, path of a Python file that registers some, or None for everything.
        tasks: Tasks on which methods are checked; by default ``METHOD_TASKS``.
        given: Settings of the method that differ from the small ones: ``NAME=VALUE``, the value as in YAML.

    Raises:
        UserError: If an id, a file or a setting is wrong.
    """
    methods, checked = _find(plugin)
    if (tasks or given) and not methods:
        raise UserError(f"--task and --set are for checking a method, and '{plugin}' is a task: leave them out")
    settings = parse_given(given)
    small = {method: small_settings(method, settings) for method in methods}
    return Selection(checked, small, [make_task(task).id for task in tasks or METHOD_TASKS])


def _find(plugin: str | Path | None) -> Ids:
    """Methods and tasks of a plug-in."""
    methods, tasks = list_methods(), list_tasks()
    if plugin is None:
        return methods, tasks
    if Path(plugin).suffix == ".py":
        return _registered_by(Path(plugin).resolve())
    if plugin not in (*methods, *tasks):
        raise UnknownIdError("method or task", str(plugin), [*methods, *tasks])
    return [name for name in methods if name == plugin], [name for name in tasks if name == plugin]


@functools.cache
def _registered_by(path: Path) -> Ids:
    """Methods and tasks that a file registers. It is imported unless it was before."""
    if not path.is_file():
        raise UserError(f"no such file: {path}; give the path of a Python file, or the id of a method or task")
    methods, tasks = list_methods(), list_tasks()
    found = (
        [name for name in methods if _file_of(method_class(name)) == path],
        [name for name in tasks if _file_of(type(make_task(name).constraint)) == path],
    )
    if not any(found):
        _import(path)
        found = (
            [name for name in list_methods() if name not in methods],
            [name for name in list_tasks() if name not in tasks],
        )
    if not any(found):
        raise UserError(f"{path.name} registers no method and no task; use @register_method or register_task()")
    return found


def _import(path: Path) -> None:
    if path.stem in sys.modules:
        raise UserError(f"a module '{path.stem}' is imported already; rename {path.name}")
    # It may import modules from its own folder.
    sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    # Its classes are looked up here.
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[path.stem]
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error


def _file_of(cls: type) -> Path | None:
    try:
        return Path(inspect.getfile(cls)).resolve()
    except (OSError, TypeError):
        return None
