"""``acrl verify``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import click

from benchmark.commands.options import results_option
from benchmark.commands.output import json_option, show


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--rerun-steps",
    type=click.IntRange(min=1),
    help="Make the first N steps of a run again, up to the last evaluation among them  [default: about a minute].",
)
@click.option("--no-rerun", is_flag=True, help="Make no run again.")
@click.option("--strict", is_flag=True, help="Let every warning be a failure.")
@results_option
@json_option
def verify(path: Path, rerun_steps: int | None, no_rerun: bool, strict: bool, results: Path, as_json: bool) -> int:
    """Verify PATH: a run's JSON, a folder of them such as results/small, or a submission's TOML (docs/submit.md).

    Exits with 0 if nothing failed, 1 if a check failed, 2 if there is nothing to verify.
    """
    from benchmark.records.config import load_params
    from benchmark.training.executors.processes import move_to, progress_bar
    from benchmark.training.harness import Progress
    from benchmark.verification.checks import Options, verify
    from benchmark.verification.report import lines

    with ExitStack() as bars:

        def make_progress(label: str, steps: int) -> Progress:
            return move_to(bars.enter_context(progress_bar(steps, label)))

        options = Options(strict, not no_rerun, rerun_steps, results, make_progress)
        verification = verify(path, load_params(), options)
    show(verification, lines(verification), as_json)
    return 0 if verification.verdict == "verified" else 1
