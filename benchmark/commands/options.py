"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.complete import complete_method, complete_profile, complete_task

task_argument = click.argument("task", shell_complete=complete_task)
tasks_argument = click.argument("tasks", nargs=-1, shell_complete=complete_task)
method_argument = click.argument("method", shell_complete=complete_method)
profile_option = click.option(
    "--profile",
    "-p",
    default="quick",
    show_default=True,
    shell_complete=complete_profile,
    help="Profile of params.yaml.",
)
results_option = click.option(
    "--results", type=click.Path(path_type=Path), default="results", show_default=True, help="Folder of all results."
)
task_option = click.option(
    "--task", "tasks", multiple=True, shell_complete=complete_task, help="Only this task; may be repeated."
)
method_option = click.option(
    "--method", "methods", multiple=True, shell_complete=complete_method, help="Only this method; may be repeated."
)
jobs_option = click.option(
    "--jobs", "-j", type=click.IntRange(min=1), default=None, help="Processes at a time  [default: cores]."
)
seed_option = click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Source of all randomness."
)
checkpoint_option = click.option(
    "--checkpoint-every",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Least seconds between checkpoints, which an interrupted run goes on from; they take 2% of the time at most.",
)
