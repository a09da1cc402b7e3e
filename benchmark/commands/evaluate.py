"""``acrl evaluate``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import results_option
from benchmark.commands.output import json_option, show


@click.command()
@click.argument("run_json", type=click.Path(path_type=Path))
@click.option("--episodes", type=click.IntRange(min=1), default=10, show_default=True, help="Episodes to run.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the episodes.")
@results_option
@json_option
def evaluate(run_json: Path, episodes: int, seed: int, results: Path, as_json: bool) -> None:
    """Run the last policy of a finished run for some episodes and print their returns, as JSON in any case."""
    from benchmark.records.config import load_params
    from benchmark.records.results import read_run
    from benchmark.training.runs import evaluate_checkpoint

    evaluation = evaluate_checkpoint(read_run(run_json), load_params(), results, episodes, seed)
    show(evaluation, [evaluation.model_dump_json()], as_json)
