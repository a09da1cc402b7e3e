"""``acrl claims``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option
from benchmark.config import load_params
from benchmark.runs import select, state_of


@click.command()
@profile_option
@results_option
def claims(profile: str, results: Path) -> None:
    """Judge FlowPG's claims by a profile's results, by the rule written down in docs/claims.md."""
    from benchmark.claims.page import write_claims

    params = load_params()
    chosen = params.profile(profile)
    stale = [one for one in select(params, profile) if state_of(one, params, results)[0] == "stale"]
    if stale:
        click.echo(f"{len(stale)} runs are of other code or settings than today's: see `acrl status -p {profile}`")
    for path in write_claims(results / profile, profile, chosen.tasks, chosen.methods, chosen.seeds):
        click.echo(path)
