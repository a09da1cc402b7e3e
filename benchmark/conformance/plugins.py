"""What a name on the command line stands for: a method, a task, or a file that registers some."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path

from envs.errors import UnknownIdError, UserError
from envs.registry import list_tasks, make_task
from methods.base import list_methods, method_class


@dataclass(frozen=True)
class Plugins:
    """Ids to check."""

    methods: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()


def find_plugins(name: str | Path | None) -> Plugins:
    """The methods and tasks that ``name`` stands for.

    Args:
        name: Id of a method or task, path of a Python file that registers some, or None for all there are.

    Raises:
        UnknownIdError: If no method and no task has this id.
        UserError: If the file is missing, cannot be imported, or registers nothing.
    """
    if name is None:
        return Plugins(tuple(list_methods()), tuple(list_tasks()))
    if Path(name).suffix == ".py":
        return import_plugins(Path(name).resolve())
    methods, tasks = list_methods(), list_tasks()
    if str(name) in methods:
        return Plugins(methods=(str(name),))
    if str(name) in tasks:
        return Plugins(tasks=(str(name),))
    raise UnknownIdError("method or task", str(name), [*methods, *tasks])


def import_plugins(path: Path) -> Plugins:
    """The methods and tasks of a file, which is imported unless something did so before.

    Raises:
        UserError: As :func:`find_plugins`.
    """
    if not path.is_file():
        raise UserError(f"no such file: {path}; give the path of a Python file, or the id of a method or task")
    methods, tasks = list_methods(), list_tasks()
    known = Plugins(
        tuple(name for name in methods if _file_of(method_class(name)) == path),
        tuple(name for name in tasks if _file_of(type(make_task(name).constraint)) == path),
    )
    if known != Plugins():
        return known
    _import(path)
    new = Plugins(
        tuple(name for name in list_methods() if name not in methods),
        tuple(name for name in list_tasks() if name not in tasks),
    )
    if new == Plugins():
        raise UserError(f"{path.name} registers no method and no task; use @register_method or register_task()")
    return new


def _import(path: Path) -> None:
    name = path.stem
    if name in sys.modules:
        raise UserError(f"a module '{name}' is imported already; rename {path.name}")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Where its classes, and what it imports from its own folder, are looked up.
    sys.modules[name] = module
    sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except UserError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        raise UserError(f"{path.name} cannot be imported: {type(error).__name__}: {error}") from error


def _file_of(cls: type) -> Path | None:
    try:
        return Path(inspect.getfile(cls)).resolve()
    except (OSError, TypeError):
        return None
