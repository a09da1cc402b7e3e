"""``acrl verify``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.commands.options import results_option
from benchmark.commands.output import json_option, show
from benchmark.config import load_params

if TYPE_CHECKING:
    from benchmark.verification.checks import Options


def rerun_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that verifies."""
    for option in (
        click.option("--strict", is_flag=True, help="Let every warning be a failure."),
        click.option("--no-rerun", is_flag=True, help="Make no run again."),
        click.option(
            "--rerun-steps",
            type=click.IntRange(min=1),
            help="Make the first N steps of a run again, up to the last evaluation among them  "
            "[default: about a minute].",
        ),
    ):
        command = option(command)
    return command


@contextmanager
def verification_options(rerun_steps: int | None, no_rerun: bool, strict: bool, results: Path) -> Iterator[Options]:
    """What these options say, with a bar for the run that is made again."""
    from benchmark.harness import Progress
    from benchmark.sweep import move_to, progress_bar
    from benchmark.verification.checks import Options

    with ExitStack() as bars:

        def make_progress(label: str, steps: int) -> Progress:
            return move_to(bars.enter_context(progress_bar(steps, label)))

        yield Options(strict, not no_rerun, rerun_steps, results, make_progress)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@rerun_options
@results_option
@json_option
def verify(path: Path, rerun_steps: int | None, no_rerun: bool, strict: bool, results: Path, as_json: bool) -> int:
    """Verify PATH: a run's JSON, a folder of them, or a submission, as docs/submit.md says.

    Exits with 0 if nothing failed, 1 if a check failed, 2 if there is nothing to verify.
    """
    from benchmark.verification.checks import verify
    from benchmark.verification.report import lines

    with verification_options(rerun_steps, no_rerun, strict, results) as options:
        verification = verify(path, load_params(), options)
    show(verification, lines(verification), as_json)
    return 0 if verification.verdict == "verified" else 1
