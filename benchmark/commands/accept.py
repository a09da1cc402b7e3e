"""``acrl accept``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import results_option
from benchmark.commands.output import json_option, show
from benchmark.commands.verify import rerun_options, verification_options
from benchmark.config import load_params


@click.command()
@click.argument("archive", type=click.Path(path_type=Path))
@rerun_options
@results_option
@json_option
def accept(archive: Path, rerun_steps: int | None, no_rerun: bool, strict: bool, results: Path, as_json: bool) -> int:
    """Verify ARCHIVE, a submission, and put its runs on the leaderboard, as docs/submit.md says.

    Exits with 0 if it is there, 1 if a check failed, 2 if it is no submission or other runs are in its place; unless it
    is 0 nothing was changed.
    """
    from benchmark.submission.accepting import accept
    from benchmark.verification.report import lines

    with verification_options(rerun_steps, no_rerun, strict, results) as options:
        verification, paths = accept(archive, load_params(), options)
    document = {**verification.model_dump(mode="json"), "paths": [str(path) for path in paths]}
    show(document, [*lines(verification), *map(str, paths)], as_json)
    return 0 if verification.verdict == "verified" else 1
