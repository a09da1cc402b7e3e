"""What tables and claims say of results that are of other versions or settings than today's."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.config import Params
from benchmark.machine import mixed_libraries
from benchmark.plan import flow_states
from benchmark.results import read_run
from benchmark.runs import select, state_of
from benchmark.timing import timing_state


def warn_of_stale(params: Params, profile: str, results: Path) -> None:
    """Say how many runs, flows and timings of a profile are stale, and how to see or mend it, on stderr.

    Raises:
        UserError: If the profile is unknown or a file is damaged.
    """
    states = [(one, state_of(one, params, results)[0]) for one in select(params, profile)]
    runs = [one for one, state in states if state == "stale"]
    complete = [read_run(one.path(results)).provenance for one, state in states if state == "complete"]
    if mixed := mixed_libraries(complete):
        click.echo(f"warning: runs were made with different versions of libraries: {'; '.join(mixed)}", err=True)
    flows = [state for *_, state in flow_states(params, profile, [], [], results) if state == "stale"]
    tasks = params.profile(profile).tasks
    timings = [task for task in tasks if timing_state(params, profile, task, results) == "stale"]
    for count, kind, command in (
        (len(runs), "runs", f"see `acrl status -p {profile}`"),
        (len(flows), "flows", f"see `acrl status --flows -p {profile}`"),
        (len(timings), "timings", f"make them anew with `acrl timing {' '.join(timings)} -p {profile}`"),
    ):
        if count:
            click.echo(f"warning: {count} {kind} are of other versions or settings than today's: {command}", err=True)
