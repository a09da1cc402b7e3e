"""What tables and reports say of results that do not go together, or are not what the profile asks for today."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from benchmark.records.config import Params
    from benchmark.records.selection import Selection


def warn_of_stale(params: Params, found: Selection, results: Path) -> None:
    """Say on stderr how many runs, flows and timings of a profile are stale, and how to see or mend it.

    Raises:
        UserError: If the profile is unknown or a file is damaged.
    """
    from benchmark.records.machine import mixed_libraries
    from benchmark.records.runs import is_stale
    from benchmark.training.flows import flow_states
    from benchmark.training.timing import timing_state

    profile = found.profile
    complete = [run.record for runs in found.complete.values() for run in runs]
    if mixed := mixed_libraries(run.provenance for run in complete):
        click.echo(f"warning: runs were made with different versions of libraries: {'; '.join(mixed)}", err=True)
    own = params.profile(profile).methods
    runs = [run for run in complete if run.method not in found.submitted or run.method in own]
    stale = [run for run in runs if is_stale(run, params)]
    flows = [state for *_, state in flow_states(params, profile, [], [], results) if state == "stale"]
    timings = [task for task in found.timing if timing_state(params, profile, task, results) == "stale"]
    for count, kind, command in (
        (len(stale), "runs", f"see `acrl status -p {profile}`"),
        (len(flows), "flows", f"see `acrl status --flows -p {profile}`"),
        (len(timings), "timings", f"make them anew with `acrl timing {' '.join(timings)} -p {profile}`"),
    ):
        if count:
            click.echo(f"warning: {count} {kind} are of other versions or settings than today's: {command}", err=True)
