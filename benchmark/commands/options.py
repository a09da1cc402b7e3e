"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.checkpoint import EVERY_SECONDS
from benchmark.runs import RESULTS

profile_option = click.option("--profile", "-p", default="quick", show_default=True, help="Profile of params.yaml.")
results_option = click.option(
    "--results", type=click.Path(path_type=Path), default=RESULTS, show_default=True, help="Folder of all results."
)
task_option = click.option("--task", "tasks", multiple=True, help="Only this task; may be repeated.")
method_option = click.option("--method", "methods", multiple=True, help="Only this method; may be repeated.")
checkpoint_option = click.option(
    "--checkpoint-every",
    type=click.FloatRange(min=0),
    default=EVERY_SECONDS,
    show_default=True,
    help="Least seconds between checkpoints, which an interrupted run goes on from; they take 2% of the time at most.",
)
