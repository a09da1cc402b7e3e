"""``acrl plan``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.commands.options import json_option, profile_option, results_option, show


@click.command(hidden=True)
@profile_option
@results_option
@json_option
def plan(profile: str, results: Path, as_json: bool) -> None:
    """Write the keys of everything that a profile needs; the pipeline reruns what has another key."""
    from benchmark.records.config import load_params
    from benchmark.training.plan import write_plan

    paths = [str(path) for path in write_plan(load_params(), profile, results)]
    show({"profile": profile, "paths": paths}, [], as_json)
