"""``acrl repro``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmark.commands.options import json_option, show

LOG = Path("results/repro.log")


@click.command(hidden=True)
@json_option
def repro(as_json: bool) -> int:
    """Run the pipeline (dvc.yaml), with one line a stage; what the stages print goes into results/repro.log.

    Stages that do not depend on one that failed are made, and tables and report of what there is. Exits with 1 then.
    """
    from benchmark.training.pipeline import Pipeline, output_to, title

    started = time.perf_counter()
    with output_to(LOG) as console:
        pipeline = Pipeline(lambda line: None if as_json else click.echo(line, file=console))
        pipeline.run()
    seconds = time.perf_counter() - started
    stages = {name: getattr(pipeline, name) for name in ("made", "failed", "partial", "skipped")}

    def named(words: str, names: Sequence[str]) -> list[str]:
        return [f"{words}: {', '.join(map(title, names))}"] if names else []

    lines = [
        f"{len(pipeline.made)} stages made in {seconds / 60:.1f} min" if any(stages.values()) else "nothing to do",
        *named("failed", pipeline.failed),
        *named("made from what there is, and to be made again", pipeline.partial),
        *named("not made, since they need what failed", pipeline.skipped),
    ]
    show(stages | {"seconds": seconds}, lines, as_json)
    return 1 if pipeline.failed else 0
