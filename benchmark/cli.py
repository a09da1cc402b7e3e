"""The command line ``acrl``. A user's error is one line on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
import sys
from pathlib import Path
from typing import NoReturn

import click
from click.shell_completion import get_completion_class

from benchmark.commands import Group, json_option, show
from benchmark.commands.look import compare, list_command, verify
from benchmark.commands.measure import experiment, flows, sample, timing, visited
from benchmark.commands.pipeline import plan, repro, reproduced
from benchmark.commands.plugins import check, new
from benchmark.commands.publish import export, leaderboard, report, tables, track, ui
from benchmark.commands.run import evaluate, run, sweep
from benchmark.commands.status import status

PROGRAM, VARIABLE = "acrl", "_ACRL_COMPLETE"
NO_HOME = "/nonexistent"
EXIT_FAILED, EXIT_USER_ERROR, EXIT_INTERRUPTED = 1, 2, 130


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="acrl-bench")
@click.pass_context
def cli(context: click.Context) -> None:
    """Benchmark for action-constrained reinforcement learning.

    Every command has --help and --json.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
@json_option
def completion(context: click.Context, shell: str, as_json: bool) -> None:
    """Print the script that completes commands, options and ids in SHELL.

    For this session: eval "$(acrl completion bash)". To keep it, save the script to a file that the shell reads when it
    starts (docs/command-line.md). Profiles come from the params.yaml that acrl reads in the current folder.

    JSON keys: shell, script.
    """
    found = get_completion_class(shell)
    assert found is not None
    script = found(context.find_root().command, {}, PROGRAM, VARIABLE).source()
    show({"shell": shell, "script": script}, [script], as_json)


cli.add_under("Run", run, sweep, evaluate, flows, visited, experiment, timing, plan, repro)
cli.add_under("Look", list_command, status, leaderboard, tables, compare, sample, track, ui)
cli.add_under("Extend", new, check, completion)
cli.add_under("Share", report, export, reproduced, verify)


def main() -> None:
    """Entry point: one line for every error."""
    _name_the_nameless()
    try:
        code = cli(prog_name=PROGRAM, complete_var=VARIABLE, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        # Its message is the help, which is no error to be told in one line.
        click.echo(error.format_message(), err=True)
        sys.exit(EXIT_USER_ERROR)
    except click.UsageError as error:
        _fail(error.format_message(), EXIT_USER_ERROR)
    except click.ClickException as error:
        _fail(error.format_message(), EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        _fail(_interrupted(), EXIT_INTERRUPTED)
    except OSError as error:
        _drop_output()
        place = f"use '{error.filename}'" if error.filename else "read or write"
        _fail(f"cannot {place}: {error.strerror or error}; check the path and its free space", EXIT_USER_ERROR)
    except ValueError as error:
        # Imported here, since it costs as much as all else that a call for help needs.
        from envs.errors import UserError

        if not isinstance(error, UserError):
            raise
        _fail(str(error), EXIT_USER_ERROR)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _interrupted() -> str:
    """What an interrupted command keeps, and how to go on."""
    if not {"run", "sweep", "flows", "repro"} & set(sys.argv[1:2]):
        return "interrupted"
    kept = "interrupted: finished runs are kept; others and flows resume from their last checkpoint, if they had one"
    return f"{kept}. Resume with: {shlex.join([PROGRAM, *sys.argv[1:]])}"


def _name_the_nameless() -> None:
    """Give a user whom no list of users has, as in many containers, what libraries ask for: a name and a home."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = str(os.getuid())
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = NO_HOME


def _drop_output() -> None:
    """Let Python not try once more, as it ends, to print what could not be printed."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)
