"""``acrl track`` and ``acrl ui``."""

from __future__ import annotations

import os
from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option
from benchmark.commands.output import json_option, show


@click.command()
@profile_option
@results_option
@json_option
def track(profile: str, results: Path, as_json: bool) -> None:
    """Import the runs of a profile into MLflow; importing again changes nothing.

    They go into the server that MLFLOW_TRACKING_URI names if it is set, else into a database below the results.
    """
    from benchmark.publishing.mlflow.importing import import_runs, import_runs_to_server
    from benchmark.records.config import load_params
    from benchmark.records.results import read_run
    from benchmark.records.runs import select

    server, database = os.environ.get("MLFLOW_TRACKING_URI"), database_path(results)
    if server:
        new = import_runs_to_server(results / profile, profile, server)
    else:
        new = import_runs(results / profile, profile, database)
    paths = [one.path(results) for one in select(load_params(), profile)]
    keys = [read_run(path).run_key for path in paths if path.exists()]
    store = server or str(database)
    document = {"profile": profile, "imported": new, "store": store, "run_keys": keys}
    show(document, [f"{new} runs of profile {profile} imported into {store}"], as_json)


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port on this machine.")
@results_option
@json_option
def ui(port: int, results: Path, as_json: bool) -> None:
    """Serve the MLflow UI on the imported runs until it is stopped; prints their addresses once it serves."""
    from benchmark.publishing.mlflow.server import serve_ui

    def announce(links: dict[str, str]) -> None:
        experiments = [{"name": name, "address": address} for name, address in links.items()]
        document = {"address": f"http://127.0.0.1:{port}", "experiments": experiments}
        show(document, [f"{name}: {address}" for name, address in links.items()], as_json)

    serve_ui(database_path(results), port, announce)


def database_path(results: Path) -> Path:
    """The MLflow database of a results folder."""
    return results / "mlflow" / "mlflow.db"
