"""``acrl report``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import profile_option, results_option
from benchmark.commands.output import json_option, show_paths


@click.command()
@profile_option
@results_option
@json_option
def report(profile: str, results: Path, as_json: bool) -> None:
    """Write the report of a profile as a static site, whose first page is printed first."""
    from benchmark.commands.stale import warn_of_stale
    from benchmark.publishing.site.pages import write_site
    from benchmark.records.config import load_params

    params = load_params()
    chosen = params.profile(profile)
    warn_of_stale(params, profile, results)
    paths = write_site(results / profile, profile, chosen.tasks, chosen.methods, chosen.seeds)
    show_paths(paths, as_json, profile=profile)
