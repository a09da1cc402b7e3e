"""``acrl new``: the files of a method or task to begin from."""

from __future__ import annotations

import importlib.util
import keyword
import re
from dataclasses import dataclass
from pathlib import Path

import click

from benchmark.commands.options import json_option, show


@click.group()
def new() -> None:
    """Write a small working method or task, with its test, to begin from."""


@new.command()
@click.argument("name")
@json_option
def method(name: str, as_json: bool) -> None:
    """Write the method NAME, such as my-method: random feasible actions, nothing learned yet.

    In a checkout of this project it goes to methods/ and tests/methods/, elsewhere into the current folder.
    """
    _write(method_scaffold(name, Path.cwd()), as_json)


@new.command()
@click.argument("name")
@json_option
def task(name: str, as_json: bool) -> None:
    """Write the task NAME, such as My+Task, into the current folder: Reacher with a constraint of its own."""
    _write(task_scaffold(name, Path.cwd()), as_json)


def _write(scaffold: Scaffold, as_json: bool) -> None:
    scaffold.write()
    paths = [path.relative_to(Path.cwd()).as_posix() for path in scaffold.files]
    lines = [*paths, "Next:", *(f"  {command}" for command in scaffold.commands)]
    if scaffold.entry_point:
        lines.append("For acrl to find it by its id, add this to your package's pyproject.toml and install it:")
        lines += [f"  {line}" for line in scaffold.entry_point.splitlines()]
    show({"paths": paths, "entry_point": scaffold.entry_point, "next": scaffold.commands}, lines, as_json)


METHOD_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TASK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([+_-][A-Za-z0-9]+)*")
# Gymnasium reads such an ending as a version.
VERSION = re.compile(r"-v[0-9]+$")


@dataclass(frozen=True)
class Scaffold:
    """What is written, and what to do with it.

    Attributes:
        files: Contents by path.
        commands: What to run next.
        entry_point: Lines for a package's pyproject.toml; empty where none is needed.
    """

    files: dict[Path, str]
    commands: list[str]
    entry_point: str

    def write(self) -> None:
        """Write all files, or none.

        Raises:
            UserError: If one is there already, or cannot be written.
        """
        from benchmark.records.files import check_writable, write_text
        from envs.errors import UserError

        for path in self.files:
            if path.exists():
                raise UserError(f"{path} is there already; choose another name or move it away")
            check_writable(path)
        for path, text in self.files.items():
            write_text(path, text)


def method_scaffold(name: str, folder: Path) -> Scaffold:
    """A method that draws random feasible actions.

    Args:
        name: Its id.
        folder: Where it is to be; if that is the checkout that ``acrl`` runs from, below ``methods/``.

    Raises:
        UserError: If the name is no valid id, or taken.
    """
    from envs.errors import UserError
    from methods.base import ENTRY_POINTS

    if not METHOD_NAME.fullmatch(name):
        raise UserError(f"'{name}' is no name for a method: use lower-case letters, digits and dashes, as in my-method")
    module, inside = _module(name), _is_checkout(folder)
    _refuse_taken(name, module, importable=not inside)
    source = _render("method.py.jinja", id=name, cls=_class(name))
    test = _render("test.py.jinja", id=name, module=module, path=not inside)
    if inside:
        files = {
            folder / "methods" / f"{module}.py": source,
            folder / "tests" / "methods" / f"test_{module}.py": test,
        }
        return Scaffold(files, [f"acrl check {name}", f"acrl run R+L2 {name} -p smoke"], "")
    return _outside(folder, module, source, test, ENTRY_POINTS)


def task_scaffold(name: str, folder: Path) -> Scaffold:
    """A task with a constraint that defines no more than it must.

    Raises:
        UserError: If the name is no valid id, or taken.
    """
    from envs.errors import UserError
    from envs.registry import ENTRY_POINT_GROUP

    if not TASK_NAME.fullmatch(name) or VERSION.search(name):
        raise UserError(f"'{name}' is no name for a task: use letters, digits and single + - _, as in My+Task, no -v0")
    module = _module(name)
    _refuse_taken(name, module, importable=True)
    source = _render("task.py.jinja", id=name, cls=_class(name))
    test = _render("test.py.jinja", id=name, module=module, path=True)
    return _outside(folder, module, source, test, ENTRY_POINT_GROUP)


def _outside(folder: Path, module: str, source: str, test: str, group: str) -> Scaffold:
    """Files in a folder of the user's own, found through an entry point."""
    files = {folder / f"{module}.py": source, folder / f"test_{module}.py": test}
    entry_point = f'[project.entry-points."{group}"]\n{module} = "{module}"'
    return Scaffold(files, [f"acrl check {module}.py", f"pytest test_{module}.py"], entry_point)


def _refuse_taken(name: str, module: str, importable: bool) -> None:
    from envs.errors import UserError
    from envs.registry import list_tasks
    from methods.base import list_methods

    for kind, ids in (("method", list_methods()), ("task", list_tasks())):
        if name in ids:
            raise UserError(f"there is a {kind} '{name}' already; choose another name")
    # The file of an earlier call is no module of somebody else's, and is named when it is found.
    found = importlib.util.find_spec(module) if importable else None
    taken = found is not None and Path(found.origin or "").parent != Path.cwd()
    if keyword.iskeyword(module) or taken:
        raise UserError(f"'{module}' is the name of a Python module or keyword; choose another name")


def _is_checkout(folder: Path) -> bool:
    from methods import base

    return (folder / "methods" / "base.py").resolve() == Path(base.__file__).resolve()


def _module(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower())


def _class(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))


def _render(template: str, **values: object) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("benchmark.commands"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    return environment.get_template(template).render(**values)
