"""``acrl plan``, ``repro`` and ``reproduced``: the pipeline (dvc.yaml), and whether its results reproduced."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.commands import json_option, profile_options, show

if TYPE_CHECKING:
    from benchmark.analysis.reproduction import Reproduction, Verdict

# How the summary of a comparison with the reference calls each verdict.
WORDS: dict[Verdict, str] = {
    "equal": "equal to the bit",
    "within": "within the spread of seeds",
    "outside": "outside of it",
    "missing": "missing",
}


@click.command(hidden=True)
@profile_options
def plan(profile: str, results: Path, as_json: bool) -> None:
    """Write the keys of everything a profile needs. The pipeline repeats what has a new key.

    JSON keys: profile, paths.
    """
    from benchmark.experiments.keys import experiment_keys
    from benchmark.records.config import load_params
    from benchmark.training.plan import write_plan

    params = load_params()
    paths = [str(path) for path in write_plan(params, profile, results, experiment_keys(params, profile))]
    show({"profile": profile, "paths": paths}, [], as_json)


@click.command(hidden=True)
@json_option
def repro(as_json: bool) -> int:
    """Run the pipeline (dvc.yaml), with one line per stage. The output of stages goes to results/repro.log.

    If a stage fails, stages that do not need it still run, tables and the report show what exists, and the exit code is
    1.

    JSON keys: made, failed, partial, skipped, seconds. Partial stages were made from what existed and will be repeated;
    skipped stages need a stage that failed.
    """
    from benchmark.training.pipeline import Pipeline, alone, output_to, title
    from envs.errors import UserError

    if not Path("dvc.yaml").exists():
        raise UserError("no dvc.yaml here: run this in a clone of the repository")
    started = time.perf_counter()
    with alone(), output_to(Path("results/repro.log")) as console:
        pipeline = Pipeline(lambda line: None if as_json else click.echo(line, file=console))
        pipeline.run()
    seconds = time.perf_counter() - started
    stages = {name: getattr(pipeline, name) for name in ("made", "failed", "partial", "skipped")}
    lines = [f"{len(pipeline.made)} stages made in {seconds / 60:.1f} min" if any(stages.values()) else "nothing to do"]
    for words, names in (
        ("failed", pipeline.failed),
        ("made from incomplete input, and to be made again", pipeline.partial),
        ("skipped, because they need what failed", pipeline.skipped),
    ):
        if names:
            lines.append(f"{words}: {', '.join(map(title, names))}")
    show(stages | {"seconds": seconds}, lines, as_json)
    return 1 if pipeline.failed or pipeline.skipped or pipeline.partial else 0


@click.command()
@profile_options
def reproduced(profile: str, results: Path, as_json: bool) -> int:
    """Compare a profile's runs with its committed reference.

    Returns, valid shares and violations should be equal to the bit on the same processor and libraries. On another
    processor, at most 5% of them may be outside the spread of seeds (docs/reproducibility.md). The exit code is 1 if
    more are outside, or if a cell is missing.

    JSON keys: profile, cells, counts, allowed, reproduced, processors, reference_processors. Each cell has its verdict.
    """
    from benchmark.analysis.reproduction import compare_with_reference
    from benchmark.records.config import load_params

    found = compare_with_reference(results, profile, load_params().profile(profile).seeds)
    show(found, _reproduced(found), as_json)
    return 0 if found.reproduced else 1


def _reproduced(found: Reproduction) -> Iterator[str]:
    """A line for each cell that is outside or missing, then the verdict."""
    for cell in found.cells:
        if cell.verdict == "outside":
            values, reference = (", ".join(f"{value:,.6g}" for value in some) for some in (cell.found, cell.reference))
            seeds = ", ".join(map(str, cell.seeds))
            yield (
                f"outside: {cell.task} {cell.method}, {cell.quantity}, seeds {seeds}: {values}; in the reference "
                f"{reference}, and of another seed {cell.low:,.6g} to {cell.high:,.6g}"
            )
    absent = dict.fromkeys((cell.task, cell.method, cell.reason) for cell in found.cells if cell.verdict == "missing")
    yield from (f"missing: {task} {method}: {reason}" for task, method, reason in absent)
    here, there = (" and ".join(names) for names in (found.processors, found.reference_processors))
    if here and (here != there or found.allowed):
        other = "" if here != there else " with other instructions"
        yield f"made on {here}, the reference on {there}{other}: {found.allowed} cells may be outside"
    told = ", ".join(f"{found.counts.get(verdict, 0)} {words}" for verdict, words in WORDS.items())
    yield f"did {found.profile} reproduce? {'yes' if found.reproduced else 'no'}: of {len(found.cells)} cells {told}"
