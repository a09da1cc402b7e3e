"""Looking at what there is: ``acrl list``, ``status``, ``compare`` and ``verify``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from benchmark.commands import json_option, method_option, profile_options, results_option, show, task_option
from benchmark.commands.publish import database_path

if TYPE_CHECKING:
    from benchmark.records.config import Params


@click.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List tasks, methods and profiles."""
    profiles = _profiles()
    # Tasks are made for programs alone: that takes longer than all the rest.
    document = {"tasks": _tasks(), "methods": _methods(), "profiles": profiles} if as_json else {}
    show(document, _lines(profiles), as_json)


def _tasks() -> list[dict[str, Any]]:
    from envs.registry import list_tasks, make_task

    found = []
    for task in map(make_task, list_tasks()):
        fields = {"id": task.id, "version": task.version, "gym_id": task.gym_id, "env_id": task.env_id}
        fields |= {"n": task.constraint.dim, "constraint": type(task.constraint).__name__}
        fields |= {"convex": task.constraint.convex, "context_indices": list(task.constraint.context_indices)}
        fields |= {"steps": task.steps, "max_episode_steps": task.max_episode_steps}
        found.append(fields | {"source": task.source, "notes": task.notes})
    return found


def _methods() -> list[dict[str, str]]:
    from methods.base import describe_method, list_methods

    return [{"id": method, "summary": describe_method(method)} for method in list_methods()]


def _profiles() -> list[dict[str, Any]]:
    from benchmark.records.config import load_params
    from benchmark.records.yaml import find_params

    if not find_params().exists():
        return []
    keys = {"tasks", "flow_methods", "plain_methods", "seeds", "steps", "task_steps"}
    profiles = load_params().profiles.items()
    return [{"name": name, **profile.model_dump(mode="json", include=keys)} for name, profile in profiles]


def _lines(profiles: list[dict[str, Any]]) -> Iterator[str]:
    from envs.registry import summarise_tasks

    yield "Tasks"
    for task in summarise_tasks():
        yield f"  {task.id:11} {task.env_id:16} n={task.dim}  {task.family}"
    yield "Methods"
    for method in _methods():
        yield f"  {method['id']:22} {method['summary']}"
    yield "Profiles" if profiles else "No profiles: no params.yaml in this folder, nor in one around it"
    for profile in profiles:
        steps = f"{profile['steps']:,} steps" if profile["steps"] else "published steps"
        methods = len(profile["flow_methods"]) + len(profile["plain_methods"])
        name, tasks, seeds = profile["name"], len(profile["tasks"]), len(profile["seeds"])
        yield f"  {name:8} {tasks} tasks, {methods} methods, {seeds} seeds, {steps}"


@click.command()
@task_option
@method_option
@click.option("--flows", is_flag=True, help="Say it of the reports on flows instead.")
@profile_options
def status(
    tasks: Sequence[str], methods: Sequence[str], flows: bool, profile: str, results: Path, as_json: bool
) -> None:
    """Say which runs of a profile are complete, failed (and why), stale or missing, and which were submitted."""
    from benchmark.records.config import load_params
    from benchmark.records.runs import NoRunsError, or_choose

    params = load_params()
    if flows:
        _show_flows(params, profile, tasks, methods, results, as_json)
        return
    states = list(_states(params, profile, tasks, methods, results))
    counts = dict(sorted(Counter(state for *_, state, _ in states).items()))
    lines = [_summary(profile, counts)]
    changed = sum(state == "complete" and bool(reason) for *_, state, reason in states)
    if changed:
        lines[0] += f"; the code changed since {changed} of the complete runs, which is no fault"
    lines += [
        f"{task:8} {method:20} seed {seed}  {_told(state, reason)}" for task, method, seed, state, reason in states
    ]
    if set(counts) <= {"missing"} and or_choose(profile, results):
        click.echo(f"warning: {NoRunsError(profile, results)}", err=True)
    names = ("task", "method", "seed", "state", "reason")
    runs = [dict(zip(names, row, strict=True)) for row in states]
    show({"profile": profile, "runs": runs, "counts": counts}, lines, as_json)


def _summary(profile: str, counts: dict[str, int]) -> str:
    return f"profile {profile}: " + ", ".join(f"{count} {state}" for state, count in counts.items())


def _told(state: str, reason: str) -> str:
    """A state with its reason, as a person reads it."""
    if not reason:
        return state
    return {"complete": f"{state}, {reason}", "stale": f"{state} ({reason})"}.get(state, f"{state}: {reason}")


def _states(
    params: Params, profile: str, tasks: Sequence[str], methods: Sequence[str], results: Path
) -> Iterator[tuple[str, str, int, str, str]]:
    """Task, method, seed, state and reason of a profile's runs, those of submitted methods last."""
    from benchmark.records.results import read_run
    from benchmark.records.runs import select, state_of
    from benchmark.records.submissions import read_submissions, run_paths
    from envs.registry import make_task

    submitted = read_submissions(results / profile)
    others = [method for method in submitted if method not in params.profile(profile).methods]
    for task in tasks:
        make_task(task)
    own = [method for method in methods if method not in others]
    for one in select(params, profile, tasks, own) if own or not methods else ():
        yield (one.task, one.method, one.seed, *state_of(one, params, results))
    for method in others:
        if methods and method not in methods:
            continue
        for run in map(read_run, run_paths(results / profile, method)):
            if tasks and run.task not in tasks:
                continue
            if run.status == "complete":
                yield run.task, method, run.seed, "submitted", submitted[method].author
            else:
                yield run.task, method, run.seed, run.status, run.error or ""


def _show_flows(
    params: Params, profile: str, tasks: Sequence[str], methods: Sequence[str], results: Path, as_json: bool
) -> None:
    from benchmark.training.flows import flow_states

    states = list(flow_states(params, profile, tasks, methods, results))
    flows = [{"task": task, "method": method, "state": state} for task, method, state in states]
    counts = dict(sorted(Counter(state for *_, state in states).items()))
    lines = [_summary(profile, counts), *(f"{task:8} {method:20} {state}" for task, method, state in states)]
    show({"profile": profile, "flows": flows, "counts": counts}, lines, as_json)


@click.command()
@click.argument("a")
@click.argument("b")
@task_option
@method_option
@click.option("--mlflow", "track", is_flag=True, help="Log the comparison to MLflow, where `acrl track` puts the runs.")
@profile_options
def compare(
    a: str,
    b: str,
    profile: str,
    tasks: Sequence[str],
    methods: Sequence[str],
    track: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Compare B with A, each a run's JSON, a method or a git revision: B - A with its 95% interval, task by task.

    At a revision the runs that are committed there are read, below the folder of results; --method is for revisions.
    Intervals are Welch's t over seeds, which are independent. Seconds are compared on one machine alone, and are under
    whatever load the runs were made: `acrl timing` measures what a training step costs.
    """
    from benchmark.analysis.comparison import compare
    from benchmark.analysis.comparison_inputs import Choice, make_sides
    from benchmark.publishing.tables.rendering import comparison_text
    from benchmark.records.config import load_params

    compared = compare(*make_sides(a, b, load_params(), Choice(profile, tasks, methods, results)))
    if track:
        from benchmark.publishing.mlflow.comparison import log_comparison

        server, database = os.environ.get("MLFLOW_TRACKING_URI"), database_path(results)
        new = log_comparison(compared, database, server)
        where = server or database
        click.echo(f"comparison {'logged to' if new else 'is already in'} {where}", err=True)
    show(compared, [comparison_text(compared)], as_json)


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--rerun-steps",
    type=click.IntRange(min=1),
    help="Make the first N steps of a run again, up to the last evaluation among them  [default: about a minute].",
)
@click.option("--no-rerun", is_flag=True, help="Make no run again.")
@click.option("--strict", is_flag=True, help="Let every warning be a failure.")
@results_option
@json_option
def verify(path: Path, rerun_steps: int | None, no_rerun: bool, strict: bool, results: Path, as_json: bool) -> int:
    """Verify PATH: a run's JSON, a folder of them such as results/small, or a submission's TOML (docs/submit.md).

    Exits with 0 if nothing failed, 1 if a check failed, 2 if there is nothing to verify.
    """
    from benchmark.records.config import load_params
    from benchmark.training.harness import Progress
    from benchmark.training.processes import move_to, progress_bar
    from benchmark.verification import Options, verify

    with ExitStack() as bars:

        def make_progress(label: str, steps: int) -> Progress:
            return move_to(bars.enter_context(progress_bar(steps, label)))

        options = Options(strict, not no_rerun, rerun_steps, results, make_progress)
        verification = verify(path, load_params(), options)
    show(verification, verification.lines(), as_json)
    return 0 if verification.verdict == "verified" else 1
