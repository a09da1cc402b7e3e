"""Showing results: ``acrl leaderboard``, ``tables``, ``report``, ``track`` and ``ui``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.commands import json_option, profile_options, results_option, show, show_paths, task_option

if TYPE_CHECKING:
    from benchmark.publishing.pictures import PictureFile
    from benchmark.records.config import Params
    from benchmark.records.selection import Selection


@click.command()
@profile_options
def tables(profile: str, results: Path, as_json: bool) -> None:
    """Make tables, figures and the verdicts on FlowPG's claims from a profile's result files."""
    from benchmark.analysis.claims import evaluate_claims
    from benchmark.analysis.leaderboard import read_leaderboard
    from benchmark.publishing.claims import write_claims
    from benchmark.publishing.figures import write_figures
    from benchmark.publishing.metrics import write_metrics
    from benchmark.publishing.tables import write_tables
    from benchmark.records.config import load_params
    from benchmark.records.runs import check_runs

    params = load_params()
    check_runs(profile, results)
    board = read_leaderboard(results / profile, params.profile(profile))
    _warn_of_stale(params, board.found, results)
    folder = results / profile
    paths = [*write_tables(board, folder), *write_figures(board, folder)]
    paths += [*write_claims(evaluate_claims(board.found, folder), folder), *write_metrics(board, folder)]
    show_paths(paths, as_json, profile=profile)


@click.command()
@task_option
@profile_options
def leaderboard(tasks: Sequence[str], profile: str, results: Path, as_json: bool) -> None:
    """Print the leaderboard: over all tasks together, or on single tasks.

    Ranks are all that the 95% intervals of the scores allow; valid is the last policy's own output, within 1e-6.
    """
    from benchmark.analysis.leaderboard import read_leaderboard
    from benchmark.publishing.tables.leaderboard import board_document, board_lines
    from benchmark.records.config import load_params
    from benchmark.records.runs import check_runs
    from envs.errors import UserError

    chosen = load_params().profile(profile)
    for task in tasks:
        if task not in chosen.tasks:
            raise UserError(f"profile '{profile}' has no task '{task}'; it has {', '.join(chosen.tasks)}")
    check_runs(profile, results)
    board = read_leaderboard(results / profile, chosen)
    show(board_document(board, tasks), board_lines(board, tasks), as_json)


@click.command()
@click.option("--pictures", is_flag=True, help="First draw what is feasible on each task and what flows put out.")
@click.option("--episodes", is_flag=True, help="First record an episode of each task, too; MuJoCo needs EGL or OSMesa.")
@profile_options
def report(profile: str, pictures: bool, episodes: bool, results: Path, as_json: bool) -> None:
    """Write the report of a profile as a static site, whose first page is printed first."""
    from benchmark.analysis.claims import evaluate_claims
    from benchmark.analysis.leaderboard import read_leaderboard
    from benchmark.publishing.site import write_site
    from benchmark.records.config import load_params

    params = load_params()
    board = read_leaderboard(results / profile, params.profile(profile))
    _warn_of_stale(params, board.found, results)
    drawn: list[PictureFile] = []
    if pictures or episodes:
        from benchmark.publishing.pictures import write_pictures
        from benchmark.training.processes import progress_bar

        chosen = params.profile(profile).tasks
        with progress_bar(len(chosen), "pictures", "task") as bar:
            for task in chosen:
                drawn += write_pictures(params, profile, task, results, episodes)
                bar.update()
    for one in drawn:
        if one.path is None:
            click.echo(f"warning: {one.task}: {one.reason}", err=True)
    paths = write_site(board, evaluate_claims(board.found, results / profile), results / profile)
    made = [{"task": one.task, "path": str(one.path), "alt": one.alt} for one in drawn if one.path]
    left_out = [{"task": one.task, "reason": one.reason} for one in drawn if not one.path]
    show_paths(paths, as_json, profile=profile, pictures=made, left_out=left_out)


def _warn_of_stale(params: Params, found: Selection, results: Path) -> None:
    """Say on stderr how many runs, flows and timings of a profile are stale, and how to see or mend it."""
    from benchmark.records.provenance import mixed_libraries
    from benchmark.records.runs import is_stale
    from benchmark.training.flows import flow_states
    from benchmark.training.timing import timing_state

    profile = found.profile
    complete = [run.record for runs in found.complete.values() for run in runs]
    if mixed := mixed_libraries(run.provenance for run in complete):
        click.echo(f"warning: runs were made with different versions of libraries: {'; '.join(mixed)}", err=True)
    own = params.profile(profile).methods
    runs = [run for run in complete if run.method not in found.submitted or run.method in own]
    stale = [run for run in runs if is_stale(run, params)]
    flows = [state for *_, state in flow_states(params, profile, [], [], results) if state == "stale"]
    timings = [task for task in found.timing if timing_state(params, profile, task, results) == "stale"]
    for count, kind, command in (
        (len(stale), "runs", f"see `acrl status -p {profile}`"),
        (len(flows), "flows", f"see `acrl status --flows -p {profile}`"),
        (len(timings), "timings", f"make them anew with `acrl timing {' '.join(timings)} -p {profile}`"),
    ):
        if count:
            click.echo(f"warning: {count} {kind} are of other versions or settings than today's: {command}", err=True)


@click.command()
@profile_options
def track(profile: str, results: Path, as_json: bool) -> None:
    """Import the runs of a profile into MLflow; importing again changes nothing.

    They go into the server that MLFLOW_TRACKING_URI names if it is set, else into a database below the results.
    """
    from benchmark.publishing.mlflow import import_runs
    from benchmark.records.config import load_params
    from benchmark.records.results import read_run
    from benchmark.records.runs import select

    server, database = os.environ.get("MLFLOW_TRACKING_URI"), database_path(results)
    new = import_runs(results / profile, profile, database, server)
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
