"""The command line ``acrl``. A user's error is one line on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import sys
from typing import NoReturn

import click
from click.shell_completion import get_completion_class

from benchmark.commands import Group, json_option, show
from benchmark.commands.look import compare, list_command, status, verify
from benchmark.commands.measure import experiment, flows, sample, timing, visited
from benchmark.commands.pipeline import plan, repro, reproduced
from benchmark.commands.plugins import check, new
from benchmark.commands.publish import report, tables, track, ui
from benchmark.commands.run import evaluate, run, sweep

PROGRAM, VARIABLE = "acrl", "_ACRL_COMPLETE"
EXIT_FAILED, EXIT_USER_ERROR, EXIT_INTERRUPTED = 1, 2, 130


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="acrl-bench")
def cli() -> None:
    """Benchmark of action-constrained reinforcement learning."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
@json_option
def completion(context: click.Context, shell: str, as_json: bool) -> None:
    """Print the script that makes SHELL complete commands, options, and the ids of tasks, methods and profiles.

    For this session: eval "$(acrl completion bash)"; docs/command-line.md says how to keep it.
    """
    found = get_completion_class(shell)
    assert found is not None
    script = found(context.find_root().command, {}, PROGRAM, VARIABLE).source()
    show({"shell": shell, "script": script}, [script], as_json)


cli.add_under("Run", run, sweep, evaluate, flows, visited, experiment, timing, plan, repro)
cli.add_under("Look", list_command, status, tables, compare, sample, track, ui)
cli.add_under("Extend", new, check, completion)
cli.add_under("Share", report, reproduced, verify)


def main() -> None:
    """Entry point: one line for every error."""
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
        _fail("interrupted; finished runs are kept", EXIT_INTERRUPTED)
    except ValueError as error:
        # Imported here, since it costs as much as all else that a call for help needs.
        from envs.errors import UserError

        if not isinstance(error, UserError):
            raise
        _fail(str(error), EXIT_USER_ERROR)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)
