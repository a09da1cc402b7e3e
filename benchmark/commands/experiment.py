"""``acrl experiment``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option
from benchmark.config import load_params


@click.command()
@click.argument("names", nargs=-1)
@profile_option
@results_option
def experiment(names: Sequence[str], profile: str, results: Path) -> None:
    """Make the experiments NAMES (e1 e2 e3 n1 n2 n3 c6), or all, of a profile: numbers, tables and figures.

    What they are and what they read is in docs/experiments.md. None trains a flow or makes a run of the profile.
    """
    from benchmark.experiments.base import Context
    from benchmark.experiments.catalogue import EXPERIMENTS, find_experiment
    from benchmark.experiments.writing import write_experiment

    params = load_params()
    params.profile(profile)
    chosen = {name: find_experiment(name) for name in names or EXPERIMENTS}
    context = Context(params, profile, results)
    for name, one in chosen.items():
        for path in write_experiment(name, one, context):
            click.echo(path)
