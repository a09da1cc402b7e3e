"""``acrl flows`` and ``acrl visited``: flows that are trained, and what is measured of them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.commands.options import jobs_option, method_option, profile_option, results_option, tasks_argument
from benchmark.commands.output import json_option, show_paths


@click.command()
@tasks_argument
@profile_option
@method_option
@jobs_option
@results_option
@json_option
def flows(
    tasks: Sequence[str], profile: str, methods: Sequence[str], jobs: int | None, results: Path, as_json: bool
) -> None:
    """Train the flows of TASKS, or of a profile's tasks, and measure their validity and recall for the tables."""
    from benchmark.records.config import load_params
    from benchmark.training.executors.processes import side_by_side
    from benchmark.training.flows import make_flow

    params = load_params()
    chosen = params.profile(profile)
    # Two flows of one task would wait for the same samples: neighbours are of different tasks.
    pairs = [(task, method) for method in methods or chosen.flow_methods for task in tasks or chosen.tasks]
    made = side_by_side(functools.partial(make_flow, params, profile, results), pairs, jobs)
    show_paths(itertools.chain.from_iterable(made), as_json, profile=profile)


@click.command(hidden=True)
@tasks_argument
@profile_option
@method_option
@jobs_option
@results_option
@json_option
def visited(
    tasks: Sequence[str], profile: str, methods: Sequence[str], jobs: int | None, results: Path, as_json: bool
) -> None:
    """Measure the flows of TASKS at the states that the policies trained with them visit, for the tables."""
    from benchmark.records.config import load_params
    from benchmark.training.executors.processes import side_by_side
    from benchmark.training.flows import measure_visited

    params = load_params()
    measure = functools.partial(measure_visited, params, profile, results, methods)
    made = side_by_side(measure, tasks or params.profile(profile).tasks, jobs)
    show_paths(itertools.chain.from_iterable(made), as_json, profile=profile)
