"""``acrl report``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option
from benchmark.commands.output import json_option, show_paths


@click.command()
@profile_option
@click.option("--pictures", is_flag=True, help="First draw what is feasible on each task and what flows put out.")
@click.option("--episodes", is_flag=True, help="First record an episode of each task, too; MuJoCo needs EGL or OSMesa.")
@results_option
@json_option
def report(profile: str, pictures: bool, episodes: bool, results: Path, as_json: bool) -> None:
    """Write the report of a profile as a static site, whose first page is printed first."""
    from benchmark.analysis.claims.claims import evaluate_claims
    from benchmark.analysis.leaderboard import read_leaderboard
    from benchmark.commands.stale import warn_of_stale
    from benchmark.publishing.site.pages import write_site
    from benchmark.records.config import load_params

    params = load_params()
    board = read_leaderboard(results / profile, params.profile(profile))
    warn_of_stale(params, board.found, results)
    drawn = []
    if pictures or episodes:
        from benchmark.publishing.pictures.writing import write_pictures

        drawn = [
            one
            for task in params.profile(profile).tasks
            for one in write_pictures(params, profile, task, results, episodes)
        ]
    for one in drawn:
        if one.path is None:
            click.echo(f"warning: {one.task}: {one.reason}", err=True)
    paths = write_site(board, evaluate_claims(board.found, results / profile), results / profile)
    made = [{"task": one.task, "path": str(one.path), "alt": one.alt} for one in drawn if one.path]
    left_out = [{"task": one.task, "reason": one.reason} for one in drawn if not one.path]
    show_paths(paths, as_json, profile=profile, pictures=made, left_out=left_out)
