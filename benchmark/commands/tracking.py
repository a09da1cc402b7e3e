"""``acrl track`` and ``acrl ui``."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option
from benchmark.config import load_params
from benchmark.files import write_text
from benchmark.results import read_run
from benchmark.runs import select


@click.command()
@profile_option
@results_option
def track(profile: str, results: Path) -> None:
    """Import the runs of a profile into MLflow; importing again changes nothing.

    They go into the server that MLFLOW_TRACKING_URI names if it is set, else into a database below the results.
    """
    from benchmark.tracking import import_runs, import_runs_to_server

    server, database = os.environ.get("MLFLOW_TRACKING_URI"), database_path(results)
    if server:
        new = import_runs_to_server(results / profile, profile, server)
    else:
        new = import_runs(results / profile, profile, database)
    click.echo(f"{new} runs of profile {profile} imported into {server or database}")
    paths = [one.path(results) for one in select(load_params(), profile)]
    keys = [read_run(path).run_key for path in paths if path.exists()]
    write_text(results / profile / "mlflow.json", json.dumps({"run_keys": keys}, indent=1) + "\n")


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port on this machine.")
@results_option
def ui(port: int, results: Path) -> None:
    """Open the MLflow UI on the imported runs."""
    from benchmark.tracking import serve_ui

    serve_ui(database_path(results), port)


def database_path(results: Path) -> Path:
    """The MLflow database of a results folder."""
    return results / "mlflow" / "mlflow.db"
