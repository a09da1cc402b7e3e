"""``acrl flows``, ``visited``, ``sample``, ``experiment`` and ``timing``: measurements other than runs."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from benchmark.commands import (
    FilePath,
    completer,
    each_once,
    jobs_option,
    json_option,
    method_option,
    profile_options,
    seed_option,
    show,
    show_paths,
    task_argument,
    tasks_argument,
)


@click.command()
@tasks_argument
@method_option
@jobs_option
@profile_options
def flows(
    tasks: Sequence[str], profile: str, methods: Sequence[str], jobs: int | None, results: Path, as_json: bool
) -> None:
    """Train the flows of TASKS (default: the profile's) and measure their validity and recall.

    JSON keys: profile, paths.
    """
    from benchmark.records.config import load_params
    from benchmark.training.flows import flow_key, make_flow
    from benchmark.training.processes import side_by_side

    params = load_params()
    chosen = params.profile(profile)
    # Two flows of one task would wait for the same samples: neighbours are of different tasks.
    pairs = [(task, method) for method in methods or chosen.flow_methods for task in tasks or chosen.tasks]
    for task, method in pairs:
        flow_key(params, profile, results, task, method)
    made = side_by_side(functools.partial(make_flow, params, profile, results), pairs, jobs, "flow")
    show_paths(itertools.chain.from_iterable(made), as_json, profile=profile)


@click.command(hidden=True)
@tasks_argument
@method_option
@jobs_option
@profile_options
def visited(
    tasks: Sequence[str], profile: str, methods: Sequence[str], jobs: int | None, results: Path, as_json: bool
) -> None:
    """Measure the validity of the flows of TASKS at the states that trained policies visit.

    Only methods that have runs are measured. The pipeline calls this command.

    JSON keys: profile, paths.
    """
    from benchmark.records.config import load_params
    from benchmark.training.flows import measure_visited
    from benchmark.training.processes import side_by_side
    from envs.registry import make_task

    params = load_params()
    for task in tasks:
        make_task(task)
    measure = functools.partial(measure_visited, params, profile, results, methods)
    made = side_by_side(measure, tasks or params.profile(profile).tasks, jobs, "task")
    show_paths(itertools.chain.from_iterable(made), as_json, profile=profile)


@click.command()
@task_argument
@click.option(
    "--sampler",
    required=True,
    shell_complete=completer("benchmark.experiments.sampling:SAMPLERS"),
    help="rejection, hmc, or psdd (whole units, bike sharing only).",
)
@click.option("--n", "count", type=click.IntRange(min=1), default=10_000, show_default=True, help="Number of samples.")
@seed_option
@click.option("--out", type=FilePath(), help="Write the actions (N, n) to this .npy file.")
@json_option
def sample(task: str, sampler: str, count: int, seed: int, out: Path | None, as_json: bool) -> None:
    """Draw feasible actions of TASK and report the sampler's speed and quality.

    If the constraint depends on the state, states come from rollouts of random feasible actions. All samplers get the
    same states. Row i of the file belongs to state i modulo the number of states.

    JSON keys: task, sampler, seed, states, samples, seconds, samples_per_second, proposals, acceptance,
    jump_acceptance, ess, ess_per_second, rhat, step_size, models, nodes, compile_seconds. What a sampler does not have
    is null.
    """
    import numpy as np

    from benchmark.experiments.sampling import run_sampler
    from benchmark.records.files import check_writable, write_bytes
    from envs.registry import make_task

    chosen = make_task(task)
    if out is not None:
        check_writable(out)
    actions, report = run_sampler(chosen, sampler, count, seed)
    if out is not None:
        buffer = io.BytesIO()
        np.save(buffer, actions.numpy())
        write_bytes(out, buffer.getvalue())
    show(report, [report.describe()], as_json)


@click.command()
@click.argument("names", nargs=-1, callback=each_once, shell_complete=completer("benchmark.experiments:EXPERIMENTS"))
@click.option(
    "--jobs",
    "-j",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Number of parallel experiments, or of agents within one. e2 and n2 measure time: run them with 1.",
)
@profile_options
def experiment(names: Sequence[str], profile: str, jobs: int, results: Path, as_json: bool) -> None:
    """Run the experiments NAMES (e1 e2 e3 n1 n2 n3 c6 x1; default: all) and write their tables and figures.

    docs/experiments.md describes them. None trains a flow of the profile or makes one of its runs.

    JSON keys: profile, experiments, paths.
    """
    from benchmark.experiments import EXPERIMENTS, find_experiment, write_experiment
    from benchmark.experiments.base import Context
    from benchmark.records.config import load_params
    from benchmark.training.processes import side_by_side

    params = load_params()
    params.profile(profile)
    chosen = list(names or EXPERIMENTS)
    for name in chosen:
        find_experiment(name)
    context = Context(params, profile, results, jobs if len(chosen) == 1 else 1)
    made = side_by_side(functools.partial(write_experiment, context), chosen, jobs, "experiment")
    show_paths(itertools.chain.from_iterable(made), as_json, profile=profile, experiments=chosen)


@click.command()
@tasks_argument
@profile_options
def timing(tasks: Sequence[str], profile: str, results: Path, as_json: bool) -> None:
    """Time a training step of every method on TASKS (default: the profile's), one method at a time.

    Run it on an idle machine: the report records other load, and tables mark it. Each method runs on one thread, and
    its first round is discarded. Flows are trained only briefly, which costs about 0.05 ms per step in extra
    projections; reports on flows have the cost of full training.

    JSON keys: profile, paths.
    """
    from benchmark.records.config import load_params
    from benchmark.training.progress import move_to, progress_bar
    from benchmark.training.timing import time_steps, turns
    from envs.registry import make_task

    params = load_params()
    for task in tasks:
        make_task(task)

    def made() -> Iterator[Path]:
        for task in tasks or params.profile(profile).tasks:
            with progress_bar(turns(params, profile), task) as bar:
                path = time_steps(params, profile, task, results, move_to(bar))
            yield path

    show_paths(made(), as_json, profile=profile)
