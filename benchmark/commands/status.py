"""``acrl status``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from benchmark.commands.options import method_option, profile_option, results_option, task_option
from benchmark.commands.output import json_option, show
from benchmark.config import Params, load_params
from benchmark.missing import NoRunsError, or_choose
from benchmark.runs import select, state_of
from benchmark.submission.accepted import read_acceptances, run_states
from envs.registry import make_task


@click.command()
@profile_option
@task_option
@method_option
@click.option("--flows", is_flag=True, help="Say it of the reports on flows instead.")
@results_option
@json_option
def status(
    profile: str, tasks: Sequence[str], methods: Sequence[str], flows: bool, results: Path, as_json: bool
) -> None:
    """Say which runs of a profile are complete, failed (and why), stale or missing, and which were accepted."""
    params = load_params()
    if flows:
        _show_flows(params, profile, tasks, methods, results, as_json)
        return
    names = ("task", "method", "seed", "state", "reason")
    states = list(_states(params, profile, tasks, methods, results))
    counts = dict(sorted(Counter(state for *_, state, _ in states).items()))
    lines = [f"{task:8} {method:20} seed {seed}  {told(state, reason)}" for task, method, seed, state, reason in states]
    lines.append(f"profile {profile}: " + ", ".join(f"{count} {state}" for state, count in counts.items()))
    changed = sum(state == "complete" and bool(reason) for *_, state, reason in states)
    if changed:
        lines[-1] += f"; the code changed since {changed} of the complete runs, which is no fault"
    if set(counts) <= {"missing"} and or_choose(profile, results):
        click.echo(f"warning: {NoRunsError(profile, results)}", err=True)
    runs = [dict(zip(names, row, strict=True)) for row in states]
    show({"profile": profile, "runs": runs, "counts": counts}, lines, as_json)


def told(state: str, reason: str) -> str:
    """A state with its reason, as a person reads it."""
    if not reason:
        return state
    return {"complete": f"{state}, {reason}", "stale": f"{state} ({reason})"}.get(state, f"{state}: {reason}")


def _states(
    params: Params, profile: str, tasks: Sequence[str], methods: Sequence[str], results: Path
) -> Iterator[tuple[str, str, int, str, str]]:
    """Task, method, seed, state and reason of a profile's runs, those of accepted submissions last."""
    accepted = read_acceptances(results / profile, profile)
    submitted = {method: accepted[method] for method in accepted if method not in params.profile(profile).methods}
    for task in tasks:
        make_task(task)
    own = [method for method in methods if method not in submitted]
    for one in select(params, profile, tasks, own) if own or not methods else ():
        yield (one.task, one.method, one.seed, *state_of(one, params, results))
    for method, record in submitted.items():
        for task, seed, state in run_states(record, method, results / profile):
            if (not methods or method in methods) and (not tasks or task in tasks):
                yield task, method, seed, state, record.archive


def _show_flows(
    params: Params, profile: str, tasks: Sequence[str], methods: Sequence[str], results: Path, as_json: bool
) -> None:
    from benchmark.plan import flow_states

    states = list(flow_states(params, profile, tasks, methods, results))
    flows = [{"task": task, "method": method, "state": state} for task, method, state in states]
    counts = dict(sorted(Counter(state for *_, state in states).items()))
    lines = [f"{task:8} {method:20} {state}" for task, method, state in states]
    show({"profile": profile, "flows": flows, "counts": counts}, lines, as_json)
