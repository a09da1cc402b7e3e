"""``acrl experiment``."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from benchmark.commands.complete import completer
from benchmark.commands.options import profile_option, results_option
from benchmark.commands.output import json_option, show_paths


def _experiments() -> Iterable[str]:
    from benchmark.experiments.catalogue import EXPERIMENTS

    return EXPERIMENTS


@click.command()
@click.argument("names", nargs=-1, shell_complete=completer(_experiments))
@profile_option
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Experiments at a time; those that take times, e2 and n2, want to be alone.",
)
@results_option
@json_option
def experiment(names: Sequence[str], profile: str, jobs: int, results: Path, as_json: bool) -> None:
    """Make the experiments NAMES (e1 e2 e3 n1 n2 n3 c6), or all, of a profile: numbers, tables and figures.

    What they are and what they read is in docs/experiments.md. None trains a flow or makes a run of the profile.
    """
    from benchmark.experiments.base import Context
    from benchmark.experiments.catalogue import EXPERIMENTS, find_experiment
    from benchmark.experiments.writing import write_experiment
    from benchmark.records.config import load_params
    from benchmark.training.executors.processes import side_by_side

    params = load_params()
    params.profile(profile)
    chosen = list(names or EXPERIMENTS)
    for name in chosen:
        find_experiment(name)
    made = side_by_side(functools.partial(write_experiment, Context(params, profile, results)), chosen, jobs)
    show_paths(itertools.chain.from_iterable(made), as_json, profile=profile, experiments=chosen)
