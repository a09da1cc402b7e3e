"""``acrl status``: which runs of a profile are complete, by task and method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.commands import method_option, profile_options, show, task_option

if TYPE_CHECKING:
    from benchmark.records.config import Params

# Task, method, seed, state and reason.
State = tuple[str, str, int, str, str]
# States that call for no action.
DONE = ("complete", "submitted")


@click.command()
@task_option
@method_option
@click.option("--flows", is_flag=True, help="Show the reports on flows instead.")
@profile_options
def status(
    tasks: Sequence[str], methods: Sequence[str], flows: bool, profile: str, results: Path, as_json: bool
) -> None:
    """Show how many runs of a profile are complete, by task and method, and which are failed or stale, and why.

    JSON keys: profile, runs, counts. Every run has its task, method, seed, state and reason; submitted methods are
    included. With --flows, a list of flows takes the place of runs.
    """
    from benchmark.records.config import load_params
    from benchmark.records.runs import NoRunsError, or_choose, profiles_with_runs

    params = load_params()
    if flows:
        _show_flows(params, profile, tasks, methods, results, as_json)
        return
    states = list(_states(params, profile, tasks, methods, results))
    counts = dict(sorted(Counter(state for *_, state, _ in states).items()))
    if set(counts) <= {"missing"} and or_choose(profile, results) and profile not in profiles_with_runs(results):
        click.echo(f"warning: {NoRunsError(profile, results)}", err=True)
    names = ("task", "method", "seed", "state", "reason")
    runs = [dict(zip(names, row, strict=True)) for row in states]
    show({"profile": profile, "runs": runs, "counts": counts}, _lines(profile, states, counts), as_json)


def _lines(profile: str, states: Sequence[State], counts: dict[str, int]) -> Iterator[str]:
    """A summary, a table of how many runs are complete, and a line for each run that failed or is stale."""
    from tabulate import tabulate

    changed = sum(state == "complete" and bool(reason) for *_, state, reason in states)
    summary = _summary(profile, counts)
    older = f"; older code of the same versions made {changed} of them, which stay valid"
    yield summary + (older if changed else "")
    tasks, methods = list(dict.fromkeys(row[0] for row in states)), dict.fromkeys(row[1] for row in states)
    cells: dict[tuple[str, str], list[str]] = {}
    for task, method, _, state, _ in states:
        cells.setdefault((task, method), []).append(state)
    table = [[method, *(_cell(cells.get((task, method), [])) for task in tasks)] for method in methods]
    yield ""
    yield tabulate(table, ["complete", *tasks], tablefmt="simple", disable_numparse=True, colglobalalign="left")
    told = [row for row in states if row[3] not in (*DONE, "missing")]
    if told:
        yield ""
    for task, method, seed, state, reason in told:
        words = f"{state} ({reason})" if state == "stale" else f"{state}: {reason}"
        yield f"{task:8} {method:20} seed {seed}  {words}"


def _cell(states: Sequence[str]) -> str:
    """The number of complete runs of all runs: green if all are, yellow if some are missing, red if some failed."""
    if not states:
        return ""
    done = sum(state in DONE for state in states)
    colour = "green" if done == len(states) else "yellow" if set(states) <= {*DONE, "missing"} else "red"
    return click.style(f"{done}/{len(states)}", fg=colour)


def _summary(profile: str, counts: dict[str, int]) -> str:
    return f"profile {profile}: " + ", ".join(f"{count} {state}" for state, count in counts.items())


def _states(
    params: Params, profile: str, tasks: Sequence[str], methods: Sequence[str], results: Path
) -> Iterator[State]:
    """The state of each run of a profile, those of submitted methods last."""
    from benchmark.records.results import read_run
    from benchmark.records.runs import Run, is_stale, select, state_of, why_stale
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
            if run.status == "complete" and is_stale(run, params):
                named = Run(run.profile, run.task, method, run.seed)
                yield run.task, method, run.seed, "stale", why_stale(run, named, params)
            elif run.status == "complete":
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
