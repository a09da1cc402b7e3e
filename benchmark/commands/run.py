"""``acrl run``, ``sweep`` and ``evaluate``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.commands import (
    FilePath,
    checkpoint_option,
    jobs_option,
    json_option,
    method_argument,
    method_option,
    profile_options,
    repeatable,
    results_option,
    seed_option,
    set_option,
    show,
    task_argument,
    task_option,
)
from benchmark.commands.publish import database_path

if TYPE_CHECKING:
    from benchmark.training.runs import Tracker

mlflow_option = click.option(
    "--mlflow", "live", is_flag=True, help="Show the training in MLflow while it runs, where `acrl track` puts runs."
)


@click.command()
@task_argument
@method_argument
@seed_option
@set_option
@click.option("--steps", type=click.IntRange(min=1), help="Number of training steps  [default: the profile's].")
@click.option("--out", type=FilePath(), help="Write to this .json file or folder, with the last state.")
@click.option("--force", is_flag=True, help="Repeat the run even if it is complete, and replace its result.")
@checkpoint_option
@mlflow_option
@profile_options
def run(
    task: str,
    method: str,
    seed: int,
    settings: Sequence[str],
    steps: int | None,
    out: Path | None,
    force: bool,
    profile: str,
    checkpoint_every: float,
    live: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Train METHOD on TASK with one seed, write the result as JSON and print its path.

    A complete run is not repeated, even if the code has changed since: --force repeats it, and --out makes another. If
    another process is already making this run, the command waits for it and says so.

    --set and --steps are recorded in the run's key, configuration and provenance. Such a run is not part of the
    profile: it goes to results/PROFILE/changed unless --out is given, tables and MLflow refuse it among the profile's
    runs, and a flow that it needs is kept apart from the profile's.

    JSON keys: path, profile, task, method, seed, run_key, status, error, final_return. A run that exceeds its time
    limit prints them too, with exit code 1.
    """
    from benchmark.records.config import load_params
    from benchmark.records.results import read_run
    from benchmark.records.runs import select, state_of
    from benchmark.training.progress import move_to, progress_bar
    from benchmark.training.runs import error_line, execute_missing, record_failure
    from envs.errors import RunFailedError, UserError

    params = load_params()
    (one,) = select(params, profile, [task], [method], [seed])
    given = [f"--set={setting}" for setting in settings] + ([f"--steps={steps}"] if steps else [])
    one = one.elsewhere(results, out, given)
    config, path = one.config(params), one.path(results)
    state, why = ("missing", "") if force else state_of(one, params, results)
    if state == "stale" and out:
        raise UserError(f"{path} holds another result ({why}): --force replaces it, --out puts this one elsewhere")
    if state == "complete":
        known = f"{state}, {why}" if why else state
        click.echo(f"{path} is {known}: --force makes it again, --out puts it elsewhere", err=True)
        result = read_run(path)
    else:
        if state == "stale":
            click.echo(f"{path} is stale ({why}) and will be replaced", err=True)
        tracker = _tracker(profile, results) if live else None
        with progress_bar(config.steps, f"{task} {method} {seed}") as bar:
            try:
                result = execute_missing(one, params, results, move_to(bar), checkpoint_every, force, tracker)
            except Exception as error:
                # What a user can mend is no failure of the run.
                if not isinstance(error, UserError) or isinstance(error, RunFailedError):
                    record_failure(one, params, results, error_line(error))
                if isinstance(error, UserError):
                    raise
                raise click.ClickException(f"the run failed: {error_line(error)}") from error
    names = {"profile", "task", "method", "seed", "run_key", "status", "error"}
    final = None if result.returns is None else result.returns.final.mean
    document = {"path": str(path), **result.model_dump(mode="json", include=names), "final_return": final}
    show(document, [str(path)], as_json)
    if result.error is not None:
        raise click.ClickException(result.error)


@click.command()
@task_option
@method_option
@click.option("--seed", "seeds", type=click.IntRange(min=0), **repeatable, help="Only this seed; may be repeated.")
@jobs_option
@checkpoint_option
@click.option(
    "--executor", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Where to run."
)
@click.option("--address", help="Ray cluster, such as ray://head:10001  [default: Ray on this machine].")
@mlflow_option
@profile_options
def sweep(
    profile: str,
    tasks: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    jobs: int | None,
    checkpoint_every: float,
    executor: str,
    address: str | None,
    live: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Make the runs of a profile that are missing, stale or failed, each in its own process.

    JSON keys: profile, runs, complete, done, failures. They count the runs asked for, those that were complete and
    those made now; failures says which runs failed and why. They are printed with exit code 1 too.
    """
    from benchmark.records.config import load_params
    from benchmark.records.files import check_writable
    from benchmark.records.runs import restore, select, set_damaged_aside, state_of
    from benchmark.training.processes import available_cores
    from benchmark.training.processes import sweep as run_side_by_side
    from envs.errors import UserError

    if address and executor != "ray":
        raise UserError("--address needs --executor ray")
    if live and executor == "ray":
        raise UserError("--mlflow needs runs on this machine: leave it out, and import them later with `acrl track`")
    params = load_params()
    chosen = list(select(params, profile, tasks, methods, seeds))
    for one in chosen:
        for line in set_damaged_aside(one, params, results):
            click.echo(f"warning: {line}", err=True)
    wanted = [one for one in chosen if state_of(one, params, results)[0] != "complete"]
    todo = [one for one in wanted if not restore(one, params, results)]
    complete = len(chosen) - len(todo)
    if not as_json:
        click.echo(f"{len(chosen)} runs of profile {profile}: {complete} complete, {len(todo)} to do")
    if todo:
        check_writable(results / profile / "runs" / "any")
    jobs = jobs or available_cores()
    if executor == "ray":
        from benchmark.training.ray import sweep_on_ray

        failures = sweep_on_ray(todo, params, results, jobs, address, checkpoint_every)
    else:
        tracker = _tracker(profile, results) if live and todo else None
        failures = run_side_by_side(todo, params, results, jobs, checkpoint_every, tracker)
    for failed, reason in failures.items():
        click.echo(f"failed: {failed.task} {failed.method} seed {failed.seed}: {reason}", err=True)
    failed_runs = [
        {"task": run.task, "method": run.method, "seed": run.seed, "reason": reason} for run, reason in failures.items()
    ]
    counts = {"runs": len(chosen), "complete": complete, "done": len(todo) - len(failures)}
    made = [f"{counts['done']} of {len(todo)} made"] if todo else []
    show({"profile": profile, **counts, "failures": failed_runs}, made, as_json)
    if failures:
        raise click.ClickException(f"{len(failures)} of {len(chosen)} runs failed; the others are complete")


def _tracker(profile: str, results: Path) -> Tracker | None:
    """The tracker that shows runs in MLflow while they train; None, with a warning, if its store cannot be used."""
    from benchmark.publishing.mlflow.live import MlflowTracker
    from envs.errors import UserError

    tracker = MlflowTracker(database_path(results), os.environ.get("MLFLOW_TRACKING_URI"))
    try:
        tracker.open(profile)
    except UserError as error:
        click.echo(f"warning: {error}. Runs are not shown while they train; import them with `acrl track`", err=True)
        return None
    return tracker


@click.command()
@click.argument("policy", type=FilePath())
@click.option("--episodes", type=click.IntRange(min=1), default=10, show_default=True, help="Number of episodes.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the episodes.")
@results_option
@json_option
def evaluate(policy: Path, episodes: int, seed: int, results: Path, as_json: bool) -> None:
    """Evaluate a trained policy for some episodes and print returns and violations as JSON.

    POLICY is a file that `acrl export` wrote, or the JSON of a run on the machine that made it. The output is the same
    with and without --json.

    JSON keys: step, mean, episodes, violations. The violations are those of the policy's own outputs.
    """
    from benchmark.records.config import load_params
    from benchmark.training.policies import find_policy

    evaluation = find_policy(policy, load_params(), results).evaluate(episodes, seed)
    show(evaluation, [evaluation.model_dump_json()], as_json)
