"""``acrl reproduced``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.commands.options import json_option, profile_option, results_option, show

if TYPE_CHECKING:
    from benchmark.analysis.reproduction import Reproduction, Verdict


@click.command()
@profile_option
@results_option
@json_option
def reproduced(profile: str, results: Path, as_json: bool) -> int:
    """Say whether a profile's runs came out as those of its reference, which is committed.

    Returns, valid shares and violations are equal to the bit on the same processor and libraries, and lie within the
    spread of seeds on others. Exits with 1 if one lies outside or is missing.
    """
    from benchmark.analysis.reproduction import compare_with_reference
    from benchmark.records.config import load_params

    found = compare_with_reference(results, profile, load_params().profile(profile).seeds)
    show(found, _lines(found), as_json)
    return 1 if {"outside", "missing"} & set(found.counts) else 0


def _lines(found: Reproduction) -> Iterator[str]:
    """What is outside or missing by name, then the verdict."""
    for cell in found.cells:
        if cell.verdict == "outside":
            values = ", ".join(f"{value:,.6g}" for value in cell.found)
            reference = ", ".join(f"{value:,.6g}" for value in cell.reference)
            seeds = ", ".join(map(str, cell.seeds))
            yield (
                f"outside: {cell.task} {cell.method}, {cell.quantity}, seeds {seeds}: {values}; in the reference "
                f"{reference}, and of another seed {cell.low:,.6g} to {cell.high:,.6g}"
            )
    absent = dict.fromkeys((cell.task, cell.method, cell.reason) for cell in found.cells if cell.verdict == "missing")
    yield from (f"missing: {task} {method}: {reason}" for task, method, reason in absent)
    if found.processors and found.processors != found.reference_processors:
        here, there = (" and ".join(names) for names in (found.processors, found.reference_processors))
        yield f"made on {here}, the reference on {there}: last digits may differ"
    words: dict[Verdict, str] = {
        "equal": "equal to the bit",
        "within": "within the spread of seeds",
        "outside": "outside of it",
        "missing": "missing",
    }
    told = ", ".join(f"{found.counts.get(verdict, 0)} {said}" for verdict, said in words.items())
    answer = "no" if {"outside", "missing"} & set(found.counts) else "yes"
    yield f"did {found.profile} reproduce? {answer}: of {len(found.cells)} cells {told}"
