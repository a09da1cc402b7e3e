"""``acrl pictures``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option, tasks_argument
from benchmark.commands.output import json_option, show


@click.command()
@tasks_argument
@profile_option
@click.option("--episodes", is_flag=True, help="Record an episode of each task, too; MuJoCo needs EGL or OSMesa.")
@results_option
@json_option
def pictures(tasks: Sequence[str], profile: str, episodes: bool, results: Path, as_json: bool) -> None:
    """Draw TASKS, or a profile's tasks: what is feasible, what the profile's trained flows put out, and episodes."""
    from benchmark.publishing.pictures.writing import write_pictures
    from benchmark.records.config import load_params
    from envs.registry import make_task

    params = load_params()
    chosen = [make_task(task).id for task in tasks or params.profile(profile).tasks]
    made, left_out = [], []
    for task in chosen:
        for one in write_pictures(params, profile, task, results, episodes):
            if one.path is None:
                left_out.append({"task": one.task, "reason": one.reason})
                click.echo(f"warning: {one.task}: {one.reason}", err=True)
                continue
            made.append({"task": one.task, "path": str(one.path), "alt": one.alt})
            if not as_json:
                click.echo(one.path)
    paths = [one["path"] for one in made]
    show({"profile": profile, "paths": paths, "pictures": made, "left_out": left_out}, [], as_json)
