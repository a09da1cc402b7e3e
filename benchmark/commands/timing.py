"""``acrl timing``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option
from benchmark.config import load_params


@click.command()
@click.argument("tasks", nargs=-1)
@profile_option
@results_option
def timing(tasks: Sequence[str], profile: str, results: Path) -> None:
    """Time a training step of every method on TASKS, or on a profile's tasks, one after the other.

    For times that mean something the machine has to be idle otherwise; how busy it was is noted with them.
    """
    from benchmark.sweep import move_to, progress_bar
    from benchmark.timing import time_steps, turns

    params = load_params()
    for task in tasks or params.profile(profile).tasks:
        with progress_bar(turns(params, profile), task) as bar:
            click.echo(time_steps(params, profile, task, results, move_to(bar)))
