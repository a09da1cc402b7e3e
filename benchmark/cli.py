"""The command line ``acrl``. A user's error is one line on stderr and exit code 2, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from benchmark.commands.check import check
from benchmark.commands.claims import claims
from benchmark.commands.experiment import experiment
from benchmark.commands.new import new
from benchmark.commands.options import checkpoint_option, method_option, profile_option, results_option, task_option
from benchmark.commands.sample import sample
from benchmark.commands.sweep import sweep
from benchmark.commands.timing import timing
from benchmark.commands.tracking import track, ui
from benchmark.config import load_params
from benchmark.results import read_run
from benchmark.runs import error_line, evaluate_checkpoint, execute, record_failure, select, state_of
from benchmark.sweep import move_to, progress_bar
from envs.errors import MethodFailedError, UserError
from envs.registry import list_tasks, make_task
from methods.base import list_methods

EXIT_FAILED, EXIT_USER_ERROR, EXIT_INTERRUPTED = 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="acrl-bench")
def cli() -> None:
    """Benchmark of action-constrained reinforcement learning."""


@cli.command("list")
def list_command() -> None:
    """List tasks, methods and profiles."""
    params, tasks, methods = load_params(), list_tasks(), list_methods()
    click.echo("Tasks")
    for task_id in tasks:
        task = make_task(task_id)
        click.echo(f"  {task_id:8} {task.env_id:16} n={task.constraint.dim}  {type(task.constraint).__name__}")
    click.echo("Methods")
    for method in methods:
        click.echo(f"  {method}")
    click.echo("Profiles")
    for name, profile in params.profiles.items():
        steps = f"{profile.steps:,} steps" if profile.steps else "published steps"
        click.echo(f"  {name:8} {len(profile.tasks)} tasks, {len(profile.methods)} methods, ", nl=False)
        click.echo(f"{len(profile.seeds)} seeds, {steps}")


@cli.command()
@click.argument("task")
@click.argument("method")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Source of all randomness.")
@profile_option
@checkpoint_option
@results_option
def run(task: str, method: str, seed: int, profile: str, checkpoint_every: float, results: Path) -> None:
    """Run METHOD on TASK with one seed and write its result JSON, whose path is printed."""
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
    click.echo(one.path(results))
    if result.error is not None:
        raise click.ClickException(result.error)


@cli.command()
@profile_option
@task_option
@method_option
@click.option("--flows", is_flag=True, help="Say it of the reports on flows instead.")
@results_option
def status(profile: str, tasks: Sequence[str], methods: Sequence[str], flows: bool, results: Path) -> None:
    """Say which runs of a profile are complete, failed (and why), stale or missing."""
    from benchmark.plan import flow_states

    params = load_params()
    if flows:
        for task, method, state in flow_states(params, profile, tasks, methods, results):
            click.echo(f"{task:8} {method:20} {state}")
        return
    counts: dict[str, int] = {}
    for one in select(params, profile, tasks, methods):
        state, reason = state_of(one, params, results)
        counts[state] = counts.get(state, 0) + 1
        click.echo(f"{one.task:8} {one.method:20} seed {one.seed}  {state}{': ' if reason else ''}{reason}")
    click.echo(f"profile {profile}: " + ", ".join(f"{count} {state}" for state, count in sorted(counts.items())))


@cli.command()
@profile_option
@results_option
def tables(profile: str, results: Path) -> None:
    """Make tables and figures of a profile from its result files."""
    from benchmark.commands.stale import warn_of_stale
    from benchmark.figures import write_figures
    from benchmark.tables import write_tables

    params = load_params()
    chosen = params.profile(profile)
    warn_of_stale(params, profile, results)
    arguments = (results / profile, profile, chosen.tasks, chosen.methods, chosen.seeds)
    for path in [*write_tables(*arguments), *write_figures(*arguments)]:
        click.echo(path)


@cli.command()
@click.argument("run_json", type=click.Path(path_type=Path))
@click.option("--episodes", type=click.IntRange(min=1), default=10, show_default=True, help="Episodes to run.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the episodes.")
@results_option
def evaluate(run_json: Path, episodes: int, seed: int, results: Path) -> None:
    """Run the last policy of a finished run for some episodes and print their returns."""
    evaluation = evaluate_checkpoint(read_run(run_json), load_params(), results, episodes, seed)
    click.echo(evaluation.model_dump_json())


@cli.command()
@profile_option
@results_option
def plan(profile: str, results: Path) -> None:
    """Write the keys of everything that a profile needs; the pipeline reruns what has another key."""
    from benchmark.plan import write_plan

    write_plan(load_params(), profile, results)


@cli.command()
@click.argument("task")
@profile_option
@results_option
def samples(task: str, profile: str, results: Path) -> None:
    """Draw the states and feasible actions that TASK's flows are trained on."""
    from benchmark.plan import make_samples

    click.echo(make_samples(load_params(), profile, task, results))


@cli.command()
@click.argument("tasks", nargs=-1)
@profile_option
@method_option
@results_option
def flows(tasks: Sequence[str], profile: str, methods: Sequence[str], results: Path) -> None:
    """Train the flows of TASKS, or of a profile's tasks, and measure their validity and recall for the tables."""
    from benchmark.plan import make_flows

    params = load_params()
    for task in tasks or params.profile(profile).tasks:
        for path in make_flows(params, profile, task, methods, results):
            click.echo(path)


@cli.command()
@click.argument("tasks", nargs=-1)
@profile_option
@method_option
@results_option
def visited(tasks: Sequence[str], profile: str, methods: Sequence[str], results: Path) -> None:
    """Measure the flows of TASKS at the states that the policies trained with them visit, for the tables."""
    from benchmark.plan import measure_visited

    params = load_params()
    for task in tasks or params.profile(profile).tasks:
        for path in measure_visited(params, profile, task, methods, results):
            click.echo(path)


cli.add_command(check)
cli.add_command(claims)
cli.add_command(experiment)
cli.add_command(new)
cli.add_command(sample)
cli.add_command(sweep)
cli.add_command(timing)
cli.add_command(track)
cli.add_command(ui)


def main() -> None:
    """Entry point: one line for every error."""
    try:
        code = cli(standalone_mode=False)
    except UserError as error:
        _fail(str(error), EXIT_USER_ERROR)
    except click.UsageError as error:
        _fail(error.format_message(), EXIT_USER_ERROR)
    except click.ClickException as error:
        _fail(error.format_message(), EXIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted; finished runs are kept", EXIT_INTERRUPTED)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)
