"""``acrl sweep``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.commands.options import (
    checkpoint_option,
    jobs_option,
    method_option,
    profile_option,
    results_option,
    task_option,
)
from benchmark.commands.output import json_option, show


@click.command()
@profile_option
@task_option
@method_option
@click.option("--seed", "seeds", type=click.IntRange(min=0), multiple=True, help="Only this seed; may be repeated.")
@jobs_option
@checkpoint_option
@click.option(
    "--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Who runs it."
)
@click.option("--address", help="Of a Ray cluster, such as ray://head:10001  [default: a Ray of this machine].")
@results_option
@json_option
def sweep(
    profile: str,
    tasks: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    jobs: int | None,
    checkpoint_every: float,
    executor: str,
    address: str | None,
    results: Path,
    as_json: bool,
) -> None:
    """Run what is missing, stale or failed of a profile, each run in a process of its own."""
    from benchmark.records.config import load_params
    from benchmark.records.runs import restore, select, set_damaged_aside, state_of
    from benchmark.training.executors.processes import available_cores
    from benchmark.training.executors.processes import sweep as run_side_by_side
    from envs.errors import UserError

    if address and executor != "ray":
        raise UserError("--address is of a Ray cluster: add --executor ray")
    params = load_params()
    chosen = list(select(params, profile, tasks, methods, seeds))
    for line in (line for one in chosen for line in set_damaged_aside(one, params, results)):
        click.echo(f"warning: {line}", err=True)
    wanted = [one for one in chosen if state_of(one, params, results)[0] != "complete"]
    todo = [one for one in wanted if not restore(one, params, results)]
    complete = len(chosen) - len(todo)
    if not as_json:
        click.echo(f"{len(chosen)} runs of profile {profile}: {complete} complete, {len(todo)} to do")
    jobs = jobs or available_cores()
    if executor == "ray":
        from benchmark.training.executors.ray import sweep_on_ray

        failures = sweep_on_ray(todo, params, results, jobs, address, checkpoint_every)
    else:
        failures = run_side_by_side(todo, params, results, jobs, checkpoint_every)
    for failed, reason in failures.items():
        click.echo(f"failed: {failed.task} {failed.method} seed {failed.seed}: {reason}", err=True)
    failed_runs = [
        {"task": run.task, "method": run.method, "seed": run.seed, "reason": reason} for run, reason in failures.items()
    ]
    counts = {"runs": len(chosen), "complete": complete, "done": len(todo) - len(failures)}
    show({"profile": profile, **counts, "failures": failed_runs}, [], as_json)
    if failures:
        raise click.ClickException(f"{len(failures)} of {len(chosen)} runs failed; the others are complete")
