"""``acrl new``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from benchmark.scaffold import Scaffold, method_scaffold, task_scaffold

json_option = click.option("--json", "as_json", is_flag=True, help="Print what was written as one JSON document.")


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
    if as_json:
        facts = {"files": paths, "entry_point": scaffold.entry_point, "next": scaffold.commands}
        click.echo(json.dumps(facts, indent=1))
        return
    for path in paths:
        click.echo(path)
    click.echo("Next:")
    for command in scaffold.commands:
        click.echo(f"  {command}")
    if scaffold.entry_point:
        click.echo("For acrl to find it by its id, add this to your package's pyproject.toml and install the package:")
        for line in scaffold.entry_point.splitlines():
            click.echo(f"  {line}")
