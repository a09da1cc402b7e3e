"""``acrl new``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.commands.output import json_option, show

if TYPE_CHECKING:
    from benchmark.commands.scaffold import Scaffold


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
    from benchmark.commands.scaffold import method_scaffold

    _write(method_scaffold(name, Path.cwd()), as_json)


@new.command()
@click.argument("name")
@json_option
def task(name: str, as_json: bool) -> None:
    """Write the task NAME, such as My+Task, into the current folder: Reacher with a constraint of its own."""
    from benchmark.commands.scaffold import task_scaffold

    _write(task_scaffold(name, Path.cwd()), as_json)


def _write(scaffold: Scaffold, as_json: bool) -> None:
    scaffold.write()
    paths = [path.relative_to(Path.cwd()).as_posix() for path in scaffold.files]
    lines = [*paths, "Next:", *(f"  {command}" for command in scaffold.commands)]
    if scaffold.entry_point:
        lines.append("For acrl to find it by its id, add this to your package's pyproject.toml and install it:")
        lines += [f"  {line}" for line in scaffold.entry_point.splitlines()]
    show({"paths": paths, "entry_point": scaffold.entry_point, "next": scaffold.commands}, lines, as_json)
