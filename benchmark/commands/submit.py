"""``acrl submit``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.commands.complete import complete_method
from benchmark.commands.options import profile_option, results_option, task_option
from benchmark.commands.output import json_option, show
from benchmark.config import load_params


@click.command()
@click.option(
    "--method",
    "methods",
    multiple=True,
    required=True,
    shell_complete=complete_method,
    help="Method submitted; may be repeated.",
)
@profile_option
@task_option
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The archive, such as my-method.zip.")
@click.option("--source", default="", help="Address of the repository of the method.")
@click.option("--author", default="", help="Who submits, and how to reach them.")
@click.option("--paper", default="", help="What describes the method: a title, or an address.")
@click.option(
    "--incomplete", is_flag=True, help="Pack fewer runs than the profile asks for, and say so in the archive."
)
@results_option
@json_option
def submit(
    methods: Sequence[str],
    profile: str,
    tasks: Sequence[str],
    out: Path,
    source: str,
    author: str,
    paper: str,
    incomplete: bool,
    results: Path,
    as_json: bool,
) -> None:
    """Pack the runs of a method at a profile into one archive, as docs/submit.md says.

    The same runs give the same bytes. `acrl verify` checks the archive.
    """
    from benchmark.submission.packing import About, submit

    about = About(source, author, paper)
    manifest = submit(load_params(), profile, methods, tasks, results, out, about, incomplete)
    said = f"{manifest.complete} of {manifest.expected} runs of profile {profile}"
    lines = [f"{said}, {', '.join(manifest.methods)}{': INCOMPLETE' if manifest.incomplete else ''}"]
    for adapter in manifest.adapters:
        origin = f"{adapter.package} {adapter.version}, {adapter.entry_point}" if adapter.package else adapter.module
        lines.append(f"{adapter.method}: {adapter.kind} {origin}")
    show(manifest, [*lines, str(out)], as_json)
