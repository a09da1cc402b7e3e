"""``acrl list``, ``compare`` and ``verify``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from benchmark.commands import FilePath, json_option, method_option, profile_options, results_option, show, task_option
from benchmark.commands.publish import database_path


@click.command("list")
@json_option
def list_command(as_json: bool) -> None:
    """List tasks, methods and profiles. With --json, each has its details.

    JSON keys: tasks, methods, profiles.
    """
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
        steps += "".join(f", {task} {other:,}" for task, other in profile["task_steps"].items())
        methods = len(profile["flow_methods"]) + len(profile["plain_methods"])
        name, tasks, seeds = profile["name"], len(profile["tasks"]), len(profile["seeds"])
        yield f"  {name:8} {tasks} tasks, {methods} methods, {seeds} seeds, {steps}"


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
    """Compare two runs, methods or git revisions: B - A with its 95% confidence interval for each task.

    A run is given as its JSON file. A revision stands for the runs committed there, and --method chooses among them:

    \b
        acrl compare nfw-target ddpg-projection -p small
        acrl compare HEAD~5 HEAD -p small --method nfw-target
        acrl compare HEAD nfw-target -p small --task BSS-3

    Intervals are Welch's t over seeds. Seeds are independent: the same seed of two methods is not a pair. There is no
    interval if a side has one seed, or if all seeds of each side are equal. Each row is a test of its own: even
    where nothing differs, one interval in twenty excludes 0.

    Valid shares and violations are those of the policy's raw output over the whole training; the leaderboard's are
    those of the last policy. Runs of different budgets are not compared, nor are times from different or unknown
    machines. Times also depend on the machine's load: `acrl timing` measures the cost of a training step. Notes name
    the libraries and settings that differ.

    JSON keys: schema_version, profile, a, b, key, differences, notes.
    """  # noqa: D301
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
@click.argument("path", type=FilePath())
@click.option(
    "--rerun-steps",
    type=click.IntRange(min=1),
    help="Repeat a run up to the last evaluation within N steps  [default: about a minute].",
)
@click.option("--no-rerun", is_flag=True, help="Do not repeat a run.")
@click.option("--strict", is_flag=True, help="Treat warnings as failures.")
@results_option
@json_option
def verify(path: Path, rerun_steps: int | None, no_rerun: bool, strict: bool, results: Path, as_json: bool) -> int:
    """Verify a run's JSON, a folder such as results/small, or a submission's TOML (docs/submit.md).

    Checks, what they fail on and, in parentheses, what they warn of. files: another schema, a wrong digest or place (no
    digest). submission: the id of a reference method, of a method of the profile or, for a package, of this repository
    (a method that is not installed). completeness: incomplete runs, runs beyond the profile's (missing runs).
    configuration: settings that differ from the profile's, an unknown profile, task or method. versions: (keys that
    differ from this checkout's). libraries: (runs made with different versions). commits: (uncommitted changes, then or
    now). consistency: numbers that contradict each other, executed actions that are infeasible at 1e-6. rerun: a
    repeated run that differs (an undecided rerun).

    rerun repeats the shortest run that learns up to an evaluation after learning has started, or whole up to 2,000
    steps, and compares returns, violations and losses. It agrees if they are equal to the bit or, with another
    processor, lock or code, within 1e-4 relatively, or where another seed would lie in 99% of cases (Student's t, at
    least three recorded seeds). With fewer seeds, or if it ended before anything was learned, it is undecided.

    The exit code is 0 if all checks pass, 1 if one fails, and 2 if there is nothing to verify.

    JSON keys: path, kind, runs, findings, verdict.
    """
    from benchmark.records.config import load_params
    from benchmark.training.harness import Progress
    from benchmark.training.progress import move_to, progress_bar
    from benchmark.verification import Options, verify

    with ExitStack() as bars:

        def make_progress(label: str, steps: int) -> Progress:
            return move_to(bars.enter_context(progress_bar(steps, label)))

        options = Options(strict, not no_rerun, rerun_steps, results, make_progress)
        verification = verify(path, load_params(), options)
    show(verification, verification.lines(), as_json)
    return 0 if verification.verdict == "verified" else 1
