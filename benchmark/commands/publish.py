"""``acrl leaderboard``, ``tables``, ``report``, ``export``, ``track`` and ``ui``: commands that show results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.commands import (
    json_option,
    method_option,
    profile_options,
    repeatable,
    results_option,
    show,
    show_paths,
    task_option,
)

if TYPE_CHECKING:
    from benchmark.analysis.leaderboard import Leaderboard
    from benchmark.publishing.pictures import PictureFile
    from benchmark.records.config import Params


@click.command()
@profile_options
def tables(profile: str, results: Path, as_json: bool) -> None:
    """Make tables, figures and the verdicts on FlowPG's claims from a profile's result files.

    If the README.md beside the results folder has markers for the profile, its findings are written between them.

    JSON keys: profile, paths.
    """
    from benchmark.analysis.claims import evaluate_claims
    from benchmark.publishing.claims import write_claims
    from benchmark.publishing.figures import write_figures
    from benchmark.publishing.findings import update_readme
    from benchmark.publishing.metrics import write_metrics
    from benchmark.publishing.tables import write_tables
    from benchmark.records.config import load_params
    from benchmark.records.runs import check_runs

    params = load_params()
    check_runs(profile, results)
    board = _read_board(params, profile, results)
    folder = results / profile
    paths = [*write_tables(board, folder), *write_figures(board, folder)]
    claims = evaluate_claims(board.found, folder)
    paths += [*write_claims(claims, folder), *write_metrics(board, folder), *update_readme(board, claims, folder)]
    show_paths(paths, as_json, profile=profile)


@click.command()
@task_option
@profile_options
def leaderboard(tasks: Sequence[str], profile: str, results: Path, as_json: bool) -> None:
    """Print the leaderboard over all tasks, or of single tasks.

    Ranks are ranges, as far as the 95% confidence intervals of the scores allow. The valid share is that of the last
    policy's raw output, within 1e-6.

    JSON keys: profile, scored_tasks, cells, notes. The cells are those of tables/leaderboard.csv. The notes name runs
    that failed or are stale.
    """
    from benchmark.analysis.leaderboard import read_leaderboard
    from benchmark.publishing.tables.leaderboard import board_document, board_lines
    from benchmark.records.config import load_params
    from benchmark.records.runs import check_runs
    from envs.errors import UserError

    params = load_params()
    chosen = params.profile(profile)
    for task in tasks:
        if task not in chosen.tasks:
            raise UserError(f"profile '{profile}' has no task '{task}'; it has {', '.join(chosen.tasks)}")
    check_runs(profile, results)
    board = read_leaderboard(results / profile, chosen, params)
    show(board_document(board, tasks), board_lines(board, tasks), as_json)


@click.command()
@click.option("--episodes", is_flag=True, help="Also record an episode of each task; MuJoCo needs EGL or OSMesa.")
@profile_options
def report(profile: str, episodes: bool, results: Path, as_json: bool) -> None:
    """Write the report of a profile as a static site, with pictures of its tasks, and print its first page first.

    Pictures go to results/PROFILE/pictures. TASK.png shows the feasible set of each task with runs, and
    TASK-flow-METHOD.png each flow of the profile that is kept and not stale. With --episodes, TASK.gif shows an episode
    of 40 frames with random feasible actions.

    A set with two free coordinates is shown whole. Of a larger set, the picture shows the plane of the two coordinates
    that it cuts most, with the others as in the interior point. If it cuts no plane, half of the coordinates move
    together along each axis. A set that depends on the state is shown at three states of episodes with random feasible
    actions: where most of the plane is feasible, where least is, and halfway. Arrows lead from infeasible actions to
    those executed instead, unless these lie outside the plane. The output of a flow with more than two free coordinates
    is projected onto the plane, over uniform feasible actions.

    The same code gives the same bytes, but GIFs of MuJoCo also depend on the renderer: EGL or OSMesa (Debian: libegl1
    and libegl-mesa0, or libosmesa6). MUJOCO_GL chooses one. Without either, a warning and left_out name the missing
    episodes. Bike sharing needs no renderer.

    JSON keys: profile, paths, pictures, left_out.
    """
    from benchmark.analysis.claims import evaluate_claims
    from benchmark.publishing.pictures import write_pictures
    from benchmark.publishing.site import write_site
    from benchmark.records.config import load_params
    from benchmark.training.progress import progress_bar

    params = load_params()
    board = _read_board(params, profile, results)
    drawn: list[PictureFile] = []
    tasks = board.found.begun()
    with progress_bar(len(tasks), "pictures", "task") as bar:
        for task in tasks:
            drawn += write_pictures(params, profile, task, results, episodes)
            bar.update()
    for one in drawn:
        if one.path is None:
            click.echo(f"warning: {one.task}: {one.reason}", err=True)
    paths = write_site(board, evaluate_claims(board.found, results / profile), results / profile)
    made = [{"task": one.task, "path": str(one.path), "alt": one.alt} for one in drawn if one.path]
    left_out = [{"task": one.task, "reason": one.reason} for one in drawn if not one.path]
    show_paths(paths, as_json, profile=profile, pictures=made, left_out=left_out)


@click.command()
@task_option
@method_option
@click.option("--seed", "seeds", type=click.IntRange(min=0), **repeatable, help="Only this seed; may be repeated.")
@click.option("--limit", type=click.FloatRange(min=0), default=20.0, show_default=True, help="Size limit in megabytes.")
@profile_options
def export(
    tasks: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    limit: float,
    profile: str,
    results: Path,
    as_json: bool,
) -> None:
    """Write the trained policies of a profile, each with a card that says what it is, to results/PROFILE/policies.

    Policies can be exported only where their runs were made; runs made elsewhere are left out and named. The files are
    small: critics are left out, and seeds share their flow.

    JSON keys: profile, paths, megabytes, left_out.
    """
    from benchmark.publishing.policies import write_policies
    from benchmark.records.config import load_params

    written = write_policies(load_params(), profile, results, tasks, methods, seeds, limit)
    for left_out in written.left_out:
        click.echo(f"warning: left out {left_out}", err=True)
    show_paths(written.paths, as_json, profile=profile, megabytes=written.megabytes, left_out=written.left_out)


def _read_board(params: Params, profile: str, results: Path) -> Leaderboard:
    """The leaderboard of a profile, which knows what is stale; stderr is told how much is and which command helps."""
    from benchmark.analysis.leaderboard import read_leaderboard
    from benchmark.records.provenance import mixed_libraries
    from benchmark.training.flows import flow_states, not_of_the_record
    from benchmark.training.timing import timing_state

    board = read_leaderboard(results / profile, params.profile(profile), params)
    found = board.found
    complete = [run.record for runs in found.complete.values() for run in runs]
    if mixed := mixed_libraries(run.provenance for run in complete):
        click.echo(f"warning: runs were made with different versions of libraries: {'; '.join(mixed)}", err=True)
    flows = [state for *_, state in flow_states(params, profile, [], [], results) if state == "stale"]
    timings = [task for task in found.timing if timing_state(params, profile, task, results) == "stale"]
    for count, kind, command in (
        (sum(found.stale.values()), "runs", f"see `acrl status -p {profile}`"),
        (len(flows), "flows", f"see `acrl status --flows -p {profile}`"),
        (len(timings), "timings", f"make them anew with `acrl timing {' '.join(timings)} -p {profile}`"),
    ):
        if count:
            click.echo(f"warning: {count} {kind} are of other versions or settings than today's: {command}", err=True)
    if tasks := not_of_the_record(found):
        again = f"measure them anew with `acrl visited {' '.join(tasks)} -p {profile}`"
        click.echo(f"warning: some reports on visited states are of other runs than those here: {again}", err=True)
    return board


@click.command()
@profile_options
def track(profile: str, results: Path, as_json: bool) -> None:
    """Import the runs of a profile into MLflow; importing again changes nothing.

    They go to the server that MLFLOW_TRACKING_URI names, or else to a database in the results folder.

    JSON keys: profile, imported, store, run_keys. Only new runs count as imported.
    """
    from benchmark.publishing.mlflow import import_runs
    from benchmark.records.config import load_params
    from benchmark.records.results import read_run
    from benchmark.records.runs import select

    params, server, database = load_params(), os.environ.get("MLFLOW_TRACKING_URI"), database_path(results)
    new = import_runs(results / profile, profile, database, server, params.profile(profile).seeds)
    paths = [one.path(results) for one in select(params, profile)]
    keys = [read_run(path).run_key for path in paths if path.exists()]
    store = server or str(database)
    document = {"profile": profile, "imported": new, "store": store, "run_keys": keys}
    show(document, [f"{new} runs of profile {profile} imported into {store}"], as_json)


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port on this machine.")
@results_option
@json_option
def ui(port: int, results: Path, as_json: bool) -> None:
    """Serve the MLflow UI of the imported runs until it is stopped; print their addresses once it is ready.

    JSON keys: address, experiments.
    """
    from benchmark.publishing.mlflow.server import serve_ui

    def announce(links: dict[str, str]) -> None:
        experiments = [{"name": name, "address": address} for name, address in links.items()]
        document = {"address": f"http://127.0.0.1:{port}", "experiments": experiments}
        show(document, [f"{name}: {address}" for name, address in links.items()], as_json)

    serve_ui(database_path(results), port, announce)


def database_path(results: Path) -> Path:
    """The MLflow database of a results folder."""
    return results / "mlflow" / "mlflow.db"
