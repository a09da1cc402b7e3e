"""``acrl run``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import (
    checkpoint_option,
    method_argument,
    profile_option,
    results_option,
    seed_option,
    task_argument,
)
from benchmark.commands.output import json_option, show


@click.command()
@task_argument
@method_argument
@seed_option
@profile_option
@checkpoint_option
@results_option
@json_option
def run(task: str, method: str, seed: int, profile: str, checkpoint_every: float, results: Path, as_json: bool) -> None:
    """Run METHOD on TASK with one seed and write its result JSON, whose path is printed."""
    from benchmark.records.config import load_params
    from benchmark.records.runs import select
    from benchmark.training.executors.processes import move_to, progress_bar
    from benchmark.training.runs import error_line, execute, record_failure
    from envs.errors import MethodFailedError, UserError

    params = load_params()
    (one,) = select(params, profile, [task], [method], [seed])
    with progress_bar(one.config(params).steps, f"{task} {method} {seed}") as bar:
        try:
            result = execute(one, params, results, move_to(bar), checkpoint_every)
        except MethodFailedError as error:
            record_failure(one, params, results, error_line(error))
            raise
        except UserError:
            raise
        except Exception as error:
            record_failure(one, params, results, error_line(error))
            raise click.ClickException(f"the run failed: {error_line(error)}") from error
    path = str(one.path(results))
    names = {"profile", "task", "method", "seed", "run_key", "status", "error"}
    final = None if result.returns is None else result.returns.final.mean
    show({"path": path, **result.model_dump(mode="json", include=names), "final_return": final}, [path], as_json)
    if result.error is not None:
        raise click.ClickException(result.error)
