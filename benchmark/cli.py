"""The command line ``acrl``. A user's error is one line on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from benchmark.commands.check import check
from benchmark.commands.look import compare, list_command, status, verify
from benchmark.commands.measure import experiment, flows, sample, timing, visited
from benchmark.commands.new import new
from benchmark.commands.options import PROGRAM, VARIABLE, completion
from benchmark.commands.plan import plan
from benchmark.commands.publish import report, tables, track, ui
from benchmark.commands.repro import repro
from benchmark.commands.reproduced import reproduced
from benchmark.commands.run import evaluate, run, sweep

EXIT_FAILED, EXIT_USER_ERROR, EXIT_INTERRUPTED = 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="acrl-bench")
def cli() -> None:
    """Benchmark of action-constrained reinforcement learning."""


cli.add_command(check)
cli.add_command(compare)
cli.add_command(completion)
cli.add_command(evaluate)
cli.add_command(experiment)
cli.add_command(flows)
cli.add_command(list_command)
cli.add_command(new)
cli.add_command(plan)
cli.add_command(report)
cli.add_command(repro)
cli.add_command(reproduced)
cli.add_command(run)
cli.add_command(sample)
cli.add_command(status)
cli.add_command(sweep)
cli.add_command(tables)
cli.add_command(timing)
cli.add_command(track)
cli.add_command(ui)
cli.add_command(verify)
cli.add_command(visited)


def main() -> None:
    """Entry point: one line for every error."""
    try:
        code = cli(prog_name=PROGRAM, complete_var=VARIABLE, standalone_mode=False)
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
