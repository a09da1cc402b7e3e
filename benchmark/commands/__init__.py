"""Commands of ``acrl``, which ``benchmark/cli.py`` assembles, and the options and output that they share.

Importing a command is cheap: it imports what it needs when it is called.
"""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import BaseModel

F = TypeVar("F", bound=Callable[..., Any])


class Group(click.Group):
    """A group whose help lists commands under headings, each with the full first sentence of its help."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.headings: dict[str, tuple[click.Command, ...]] = {}

    def add_under(self, heading: str, *commands: click.Command) -> None:
        """Add commands, listed under a heading."""
        self.headings[heading] = commands
        for command in commands:
            self.add_command(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """See :class:`click.Group`."""
        for heading, commands in (self.headings or {"Commands": tuple(self.commands.values())}).items():
            shown = [command for command in commands if not command.hidden]
            with formatter.section(heading):
                formatter.write_dl([(str(one.name), one.get_short_help_str(sys.maxsize)) for one in shown])


def completer(source: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Make a function that completes the word being typed, for click.

    Args:
        source: "module:name" of a list of names, or of a function that returns one. It is imported on use. If it raises
            a ``UserError``, nothing is offered, since a shell cannot show an error while completing.
    """

    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        from envs.errors import UserError

        try:
            found = pkgutil.resolve_name(source)
            return [name for name in (found() if callable(found) else found) if name.startswith(incomplete)]
        except UserError:
            return []

    return complete


complete_task, complete_method = completer("envs.registry:list_tasks"), completer("methods.base:list_methods")


def each_once(_context: click.Context, _parameter: click.Parameter, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a value that is given twice: it would be run and counted twice.

    Raises:
        click.BadParameter: If one is.
    """
    for value in values:
        if values.count(value) > 1:
            raise click.BadParameter(f"'{value}' is given {values.count(value)} times; once is enough")
    return values


repeatable: dict[str, Any] = {"multiple": True, "callback": each_once}
task_argument = click.argument("task", shell_complete=complete_task)
tasks_argument = click.argument("tasks", nargs=-1, callback=each_once, shell_complete=complete_task)
method_argument = click.argument("method", shell_complete=complete_method)
task_option = click.option(
    "--task", "tasks", **repeatable, shell_complete=complete_task, help="Only this task; may be repeated."
)
method_option = click.option(
    "--method", "methods", **repeatable, shell_complete=complete_method, help="Only this method; may be repeated."
)
set_option = click.option(
    "--set", "settings", **repeatable, metavar="NAME=VALUE", help="Set a setting of the method; may be repeated."
)
jobs_option = click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    default=None,
    help="Parallel processes  [default: number of cores].",
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of all randomness."
)
checkpoint_option = click.option(
    "--checkpoint-every",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds between checkpoints; longer if they would take more than 2% of the time.",
)


class FilePath(click.Path):
    """A path, which may not be empty as an unset variable of a shell is."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See :meth:`click.Path.convert`."""
        if value == "":
            self.fail("the path is empty; give a file or a folder", param, ctx)
        return super().convert(value, param, ctx)


results_option = click.option(
    "--results", type=FilePath(), default="results", show_default=True, help="Folder for all results."
)
profile_option = click.option(
    "--profile",
    "-p",
    default="quick",
    show_default=True,
    shell_complete=completer("benchmark.records.config:list_profiles"),
    help="Profile from params.yaml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


def profile_options(command: F) -> F:
    """Add the options of every command on a profile: --profile, --results and --json."""
    return profile_option(results_option(json_option(command)))


def show(document: BaseModel | Mapping[str, Any], lines: Iterable[str], as_json: bool) -> None:
    """Print ``document`` as JSON on one line or, for people, as ``lines``, which are made only then."""
    if as_json:
        plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
        click.echo(json.dumps(plain, allow_nan=False))
    else:
        # All are made before the first is printed: an error leaves nothing on stdout.
        for line in list(lines):
            click.echo(line)


def show_paths(paths: Iterable[Path], as_json: bool, **facts: Any) -> None:
    """Print each path once the file is made or, as JSON, ``facts`` and all paths at the end."""
    from tqdm import tqdm

    made = []
    for path in paths:
        made.append(str(path))
        if not as_json:
            # A bar may be on the line.
            tqdm.write(str(path), file=sys.stdout)
    show({**facts, "paths": made}, [], as_json)
