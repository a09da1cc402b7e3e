"""``acrl timing``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option, tasks_argument
from benchmark.commands.output import json_option, show_paths


@click.command()
@tasks_argument
@profile_option
@results_option
@json_option
def timing(tasks: Sequence[str], profile: str, results: Path, as_json: bool) -> None:
    """Time a training step of every method on TASKS, or on a profile's tasks, one after the other.

    For times that mean something the machine has to be idle otherwise; how busy it was is noted with them.
    """
    from benchmark.records.config import load_params
    from benchmark.training.executors.processes import move_to, progress_bar
    from benchmark.training.timing import time_steps, turns

    params = load_params()

    def made() -> Iterator[Path]:
        for task in tasks or params.profile(profile).tasks:
            with progress_bar(turns(params, profile), task) as bar:
                path = time_steps(params, profile, task, results, move_to(bar))
            yield path

    show_paths(made(), as_json, profile=profile)
