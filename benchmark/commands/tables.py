"""``acrl tables``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option
from benchmark.commands.output import json_option, show_paths


@click.command()
@profile_option
@results_option
@json_option
def tables(profile: str, results: Path, as_json: bool) -> None:
    """Make tables and figures of a profile from its result files."""
    from benchmark.commands.stale import warn_of_stale
    from benchmark.publishing.figures.curves import write_figures
    from benchmark.publishing.tables.writing import write_tables
    from benchmark.records.config import load_params
    from benchmark.records.missing import check_runs

    params = load_params()
    chosen = params.profile(profile)
    check_runs(profile, results)
    warn_of_stale(params, profile, results)
    arguments = (results / profile, profile, chosen.tasks, chosen.methods, chosen.seeds)
    show_paths([*write_tables(*arguments), *write_figures(*arguments)], as_json, profile=profile)
