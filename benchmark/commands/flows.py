"""``acrl samples``, ``acrl flows`` and ``acrl visited``: what is trained on, trained, and measured of flows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.commands.options import method_option, profile_option, results_option, task_argument, tasks_argument
from benchmark.commands.output import json_option, show_paths


@click.command(hidden=True)
@task_argument
@profile_option
@results_option
@json_option
def samples(task: str, profile: str, results: Path, as_json: bool) -> None:
    """Draw the states and feasible actions that TASK's flows are trained on."""
    from benchmark.records.config import load_params
    from benchmark.training.flows import make_samples

    show_paths([make_samples(load_params(), profile, task, results)], as_json, profile=profile)


@click.command()
@tasks_argument
@profile_option
@method_option
@results_option
@json_option
def flows(tasks: Sequence[str], profile: str, methods: Sequence[str], results: Path, as_json: bool) -> None:
    """Train the flows of TASKS, or of a profile's tasks, and measure their validity and recall for the tables."""
    from benchmark.records.config import load_params
    from benchmark.training.flows import make_flows

    params = load_params()
    chosen = tasks or params.profile(profile).tasks
    made = (path for task in chosen for path in make_flows(params, profile, task, methods, results))
    show_paths(made, as_json, profile=profile)


@click.command(hidden=True)
@tasks_argument
@profile_option
@method_option
@results_option
@json_option
def visited(tasks: Sequence[str], profile: str, methods: Sequence[str], results: Path, as_json: bool) -> None:
    """Measure the flows of TASKS at the states that the policies trained with them visit, for the tables."""
    from benchmark.records.config import load_params
    from benchmark.training.flows import measure_visited

    params = load_params()
    chosen = tasks or params.profile(profile).tasks
    made = (path for task in chosen for path in measure_visited(params, profile, task, methods, results))
    show_paths(made, as_json, profile=profile)
