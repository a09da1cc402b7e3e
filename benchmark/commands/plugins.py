"""``acrl new`` writes a first version of a method or task, ``acrl check`` runs the conformance checks."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import keyword
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from benchmark.commands import Group, json_option, repeatable, set_option, show

METHOD_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TASK_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*([+_-][A-Za-z0-9]+)*")
# File systems take 255 bytes, and what is written bears more than the name.
MOST_LETTERS = 60
# Gymnasium reads such an ending as a version.
VERSION = re.compile(r"-v[0-9]+$")


@click.command()
@click.argument("plugin", required=False)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@click.option("--task", "tasks", **repeatable, help="Check methods on this task; may be repeated.")
@set_option
@json_option
def check(
    plugin: str | None, options: tuple[str, ...], tasks: Sequence[str], settings: Sequence[str], as_json: bool
) -> None:
    """Check a method, a task, or everything if PLUGIN is left out.

    PLUGIN is an id, or the path of a Python file that registers methods or tasks. pytest runs the checks and receives
    the OPTIONS after "--", such as -v, -x or -k seed. docs/interfaces.md lists the checks.

    Methods are checked on R+L2, HC+O and BSS-3, or on the tasks given with --task, which takes seconds per task.
    Networks, buffers, warm-up, samples and flow training are made small where a method has such settings; --set
    overrides any setting. A task is tried with every method, and the output ends with those that apply.

    The exit code is 1 if a check fails.

    JSON keys: verdicts, counts.
    """
    import pytest

    from benchmark.conformance import run_checks
    from envs.errors import UserError

    # "--" without a PLUGIN before it.
    if plugin and plugin.startswith("-"):
        options, plugin = (plugin, *options), None
    with contextlib.redirect_stdout(io.StringIO()) if as_json else contextlib.nullcontext():
        code, verdicts = run_checks(plugin, tasks, settings, options)
    outcomes = Counter({"passed": 0, "failed": 0, "skipped": 0})
    outcomes.update(verdict["outcome"] for verdict in verdicts)
    if verdicts:
        show({"verdicts": verdicts, "counts": dict(outcomes)}, _applicable(verdicts), as_json)
    # Pytest's exit codes.
    if code == pytest.ExitCode.TESTS_FAILED:
        explained = sum(verdict["message"].startswith("see test_") for verdict in verdicts)
        others = f"; {explained} others were skipped because of the same mistakes" if explained else ""
        raise click.ClickException(f"{outcomes['failed']} of {outcomes.total()} checks failed{others}")
    if code == pytest.ExitCode.INTERRUPTED:
        raise click.Abort
    if code:
        raise UserError(f"no check ran: pytest ended with exit code {code}; see its options with `pytest --help`")


def _applicable(verdicts: Sequence[Mapping[str, str]]) -> list[str]:
    """Which methods apply to the tasks that were checked, and why others do not."""
    told = {"passed": "applies", "failed": "fails: ", "skipped": "no: "}
    lines = [
        f"  {verdict['subject']:36} {told[verdict['outcome']]}{verdict['message']}"
        for verdict in verdicts
        if verdict["check"] == "test_method_applies"
    ]
    return ["Methods on this task:", *lines] if lines else []


@click.group(cls=Group)
def new() -> None:
    """Write a small working method or task with its test."""


@new.command()
@click.argument("name")
@json_option
def method(name: str, as_json: bool) -> None:
    """Write the method NAME, such as my-method. It takes random feasible actions.

    In a checkout of this project it goes to methods/ and tests/methods/, elsewhere to the current folder. The output
    says what to do next.

    JSON keys: paths, entry_point, next.
    """
    from envs.errors import UserError
    from methods import base

    if not METHOD_NAME.fullmatch(name) or len(name) > MOST_LETTERS:
        allowed = f"up to {MOST_LETTERS} lower-case letters, digits and dashes"
        raise UserError(f"'{name}' is not a valid method name: use {allowed}, as in my-method")
    if Path("methods/base.py").resolve() != Path(base.__file__).resolve():
        _write_outside("method", name, base.ENTRY_POINTS, as_json)
        return
    module = _module(name, importable=False)
    test = _render("test", id=name, module=module, path=False)
    files = {
        Path("methods", f"{module}.py"): _render("method", id=name, cls=_class(name)),
        Path("tests/methods", f"test_{module}.py"): test,
    }
    _write(files, [f"acrl check {name}", f"acrl run R+L2 {name} -p smoke"], "", as_json)


@new.command()
@click.argument("name")
@json_option
def task(name: str, as_json: bool) -> None:
    """Write the task NAME, such as My+Task, to the current folder. It is Reacher with a new constraint.

    The output says what to do next.

    JSON keys: paths, entry_point, next.
    """
    from envs.errors import UserError
    from envs.registry import ENTRY_POINT_GROUP

    if not TASK_NAME.fullmatch(name) or VERSION.search(name) or len(name) > MOST_LETTERS:
        allowed = f"up to {MOST_LETTERS} letters, digits and single + - _"
        raise UserError(f"'{name}' is not a valid task name: use {allowed}, as in My+Task, no -v0")
    _write_outside("task", name, ENTRY_POINT_GROUP, as_json)


def _write_outside(kind: str, name: str, group: str, as_json: bool) -> None:
    """Write to the current folder; an entry point makes the plug-in known by its id."""
    module = _module(name, importable=True)
    files = {
        Path(f"{module}.py"): _render(kind, id=name, cls=_class(name)),
        Path(f"test_{module}.py"): _render("test", id=name, module=module, path=True),
    }
    entry_point = f'[project.entry-points."{group}"]\n{module} = "{module}"'
    _write(files, [f"acrl check {module}.py", f"pytest test_{module}.py"], entry_point, as_json)


def _write(files: dict[Path, str], commands: list[str], entry_point: str, as_json: bool) -> None:
    """Write all ``files`` (content by path) or none, and print what to do next.

    ``entry_point`` is the section for a pyproject.toml; empty if none is needed.
    """
    from benchmark.records.files import check_writable, write_text
    from envs.errors import UserError

    for path in files:
        if path.exists():
            raise UserError(f"{path} already exists; choose another name or move it away")
        check_writable(path)
    for path, text in files.items():
        write_text(path, text)
    paths = [path.as_posix() for path in files]
    lines = [*paths, "Next:", *(f"  {command}" for command in commands)]
    if entry_point:
        lines.append("For acrl to find it by its id, add this to your package's pyproject.toml and install it:")
        lines += [f"  {line}" for line in entry_point.splitlines()]
    show({"paths": paths, "entry_point": entry_point, "next": commands}, lines, as_json)


def _module(name: str, importable: bool) -> str:
    """The module name of a method or task; ``importable`` if it is a top-level module, not part of a package."""
    from envs.errors import UserError
    from envs.registry import list_tasks
    from methods.base import list_methods

    for kind, ids in (("method", list_methods()), ("task", list_tasks())):
        if name in ids:
            raise UserError(f"a {kind} '{name}' already exists; choose another name")
    module = re.sub(r"[^a-z0-9]+", "_", name.lower())
    # The file of an earlier call is no module of somebody else's, and is named when it is found.
    found = importlib.util.find_spec(module) if importable else None
    taken = found is not None and Path(found.origin or "").parent != Path.cwd()
    if keyword.iskeyword(module) or taken:
        raise UserError(f"'{module}' is the name of a Python module or keyword; choose another name")
    return module


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
    return environment.get_template(f"{template}.py.jinja").render(**values)
