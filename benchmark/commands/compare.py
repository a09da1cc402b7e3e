"""``acrl compare``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.commands.complete import complete_method
from benchmark.commands.options import profile_option, results_option, task_option
from benchmark.commands.output import json_option, show
from benchmark.commands.tracking import database_path


@click.command()
@click.argument("a")
@click.argument("b")
@profile_option
@task_option
@click.option(
    "--method",
    "methods",
    multiple=True,
    shell_complete=complete_method,
    help="Only this method of a git revision; may be repeated.",
)
@click.option("--mlflow", "track", is_flag=True, help="Log the comparison to MLflow, where `acrl track` puts the runs.")
@results_option
@json_option
def compare(
    a: str,
    b: str,
    profile: str,
    tasks: Sequence[str],
    methods: Sequence[str],
    track: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Compare B with A, each a run's JSON, a method or a git revision: B - A with its 95% interval, task by task.

    At a revision the runs that are committed there are read, below the folder of results. Intervals are Welch's t over
    seeds, which are independent. Seconds are compared on one machine alone.
    """
    from benchmark.analysis.comparison import compare
    from benchmark.analysis.comparison_inputs import Choice, make_sides
    from benchmark.publishing.comparison import comparison_text
    from benchmark.records.config import load_params

    compared = compare(*make_sides(a, b, load_params(), Choice(profile, tasks, methods, results)))
    if track:
        from benchmark.publishing.mlflow.comparisons import log_comparison

        server, database = os.environ.get("MLFLOW_TRACKING_URI"), database_path(results)
        new = log_comparison(compared, database, server)
        where = server or database
        click.echo(f"comparison {'logged to' if new else 'is already in'} {where}", err=True)
    show(compared, [comparison_text(compared)], as_json)
