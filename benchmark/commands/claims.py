"""``acrl claims``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option
from benchmark.commands.output import json_option, show_paths


@click.command()
@profile_option
@results_option
@json_option
def claims(profile: str, results: Path, as_json: bool) -> None:
    """Judge FlowPG's claims by a profile's results, by the rule written down in docs/claims.md."""
    from benchmark.commands.stale import warn_of_stale
    from benchmark.publishing.claims.page import write_claims
    from benchmark.records.config import load_params
    from benchmark.records.missing import check_runs

    params = load_params()
    chosen = params.profile(profile)
    check_runs(profile, results)
    warn_of_stale(params, profile, results)
    made = write_claims(results / profile, profile, chosen.tasks, chosen.methods, chosen.seeds)
    show_paths(made, as_json, profile=profile)
