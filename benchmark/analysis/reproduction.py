"""Whether a profile's runs agree with those of its committed reference: "did it reproduce?"."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from benchmark.records.results import TOLERANCES, Record, read_run
from benchmark.records.runs import Run
from benchmark.records.selection import CompleteRun, check_complete, one_line
from benchmark.verification.rerun import another_seed, is_close
from envs.errors import UserError

# Below the folder of all results, apart from the files that runs write.
REFERENCE = "reference"
# Fewer seeds tell too little about their spread.
LEAST_SEEDS = 3
# Quantities are means over episodes and shares of all actions.
LAST_DIGITS = 1e-6
# On another processor chance alone puts one cell in a hundred outside, cells of a run fall together, and the spread of
# seeds leaves out that of flows, which differ there and are shared by all seeds.
ALLOWED_ELSEWHERE = 0.05

Verdict = Literal["equal", "within", "outside", "missing"]
BySeed = Mapping[int, CompleteRun]


class Cell(Record):
    """One quantity of a method on a task.

    Attributes:
        quantity: Name of the quantity.
        verdict: "equal" to the bit, "within" or "outside" the spread of the reference's seeds, or "missing".
        seeds: The compared seeds.
        found: The quantity of each of these seeds; empty if one is missing.
        reference: The same quantity in the reference.
        low: Lower end of the 99% prediction interval for another seed of the reference; None if it is not needed.
        high: Upper end of it.
        reason: Why it is missing.
    """

    task: str
    method: str
    quantity: str
    verdict: Verdict
    seeds: list[int]
    found: list[float] = Field(default_factory=list)
    reference: list[float] = Field(default_factory=list)
    low: float | None = None
    high: float | None = None
    reason: str = ""


class Reproduction(Record):
    """Comparison of a profile's runs with its reference.

    Attributes:
        cells: Cells by task, method and quantity.
        counts: Number of cells by verdict.
        allowed: The most cells that may be outside: none on the reference's processor, 5% on another.
        reproduced: Whether no cell is missing and no more are outside.
        processors: Processors of the runs.
        reference_processors: Processors of the reference.
    """

    profile: str
    cells: list[Cell]
    counts: dict[Verdict, int]
    allowed: int
    reproduced: bool
    processors: list[str]
    reference_processors: list[str]


def _valid_share(tolerance: float) -> Callable[[CompleteRun], float]:
    return lambda run: run.violations.policy.valid_at(tolerance)


# The valid share of the policy's own output, and the number of violations with exploration noise.
QUANTITIES: dict[str, Callable[[CompleteRun], float]] = {
    "final return": lambda run: run.returns.final.mean,
    **{f"valid share at tolerance {tolerance:g}": _valid_share(tolerance) for tolerance in TOLERANCES},
    "violations with noise": lambda run: run.violations.behaviour.count,
}


def compare_with_reference(results: Path, profile: str, seeds: Sequence[int]) -> Reproduction:
    """Compare ``seeds`` of a profile with its reference, which has more of them, to estimate their spread.

    Raises:
        UserError: If there is no reference, it has too few seeds, or a file is damaged.
    """
    cells, found = list[Cell](), list[CompleteRun]()
    reference = read_reference(results, profile, seeds)
    for (task, method), theirs in reference.items():
        ours, reasons = dict[int, CompleteRun](), list[str]()
        for seed in seeds:
            run = read_counterpart(Run(profile, task, method, seed).path(results), theirs[seed])
            if isinstance(run, str):
                reasons.append(f"seed {seed} {run}")
            else:
                ours[seed] = run
        found += ours.values()
        shared = {"task": task, "method": method, "seeds": list(seeds)}
        if reasons:
            shared |= {"verdict": "missing", "reason": "; ".join(reasons)}
        judged = all(run.violations.policy.n for run in theirs.values())
        for quantity, value in QUANTITIES.items():
            if not judged and quantity.startswith("valid share"):
                continue
            compared = {} if reasons else compare_values(value, ours, theirs)
            cells.append(Cell.model_validate(shared | {"quantity": quantity} | compared))
    known = [run for runs in reference.values() for run in runs.values()]
    counts = Counter(cell.verdict for cell in cells)
    allowed = 0 if on_one_processor([*found, *known]) else int(ALLOWED_ELSEWHERE * len(cells))
    return Reproduction(
        profile=profile,
        cells=cells,
        counts=dict(counts),
        allowed=allowed,
        reproduced=not counts["missing"] and counts["outside"] <= allowed,
        processors=processors(found),
        reference_processors=processors(known),
    )


def processors(runs: Iterable[CompleteRun]) -> list[str]:
    """The processors that runs were made on."""
    return sorted({run.record.provenance.processor for run in runs})


def on_one_processor(runs: Sequence[CompleteRun]) -> bool:
    """Whether runs were made on the same processor by the same instructions, where these are known."""
    paths = {path for run in runs if (path := run.record.provenance.code_path) is not None}
    return len(processors(runs)) <= 1 and len(paths) <= 1


def read_reference(results: Path, profile: str, seeds: Sequence[int]) -> dict[tuple[str, str], BySeed]:
    """The runs of a profile's reference by task, method and seed.

    Raises:
        UserError: If there is no reference, it has too few seeds or lacks one of ``seeds``, or a file is damaged.
    """
    folder = results / REFERENCE / profile
    runs: dict[tuple[str, str], dict[int, CompleteRun]] = defaultdict(dict)
    for path in sorted((folder / "runs").glob("*/*/seed-*.json")):
        run = read_run(path)
        runs[run.task, run.method][run.seed] = check_complete(path, run)
    if not runs:
        raise UserError(f"profile '{profile}' has no reference: there are no runs in {folder}")
    for (task, method), of_seeds in runs.items():
        if len(of_seeds) < LEAST_SEEDS or not set(seeds) <= set(of_seeds):
            raise UserError(
                f"the reference of {method} on {task} in {folder} lacks seeds: restore it from git, or make it again"
            )
    return {**runs}


def read_counterpart(path: Path, reference: CompleteRun) -> CompleteRun | str:
    """The run to compare with one of the reference, or why there is none.

    Raises:
        UserError: If the file is damaged.
    """
    if not path.exists():
        return "was not run"
    run = read_run(path)
    if run.status != "complete":
        return f"{run.status}: {one_line(run.error)}"
    if run.run_key != reference.record.run_key:
        return "has other versions or settings than the reference"
    return check_complete(path, run)


def compare_values(value: Callable[[CompleteRun], float], ours: BySeed, theirs: BySeed) -> dict[str, Any]:
    """The fields of a cell for one quantity of complete runs by seed; the reference has these seeds and others."""
    found, reference = ([value(runs[seed]) for seed in ours] for runs in (ours, theirs))
    low, high = another_seed([value(run) for run in theirs.values()])
    pairs = zip(found, reference, strict=True)
    verdict: Verdict = "outside"
    if found == reference:
        verdict = "equal"
    elif all(low <= here <= high or is_close(here, there, LAST_DIGITS) for here, there in pairs):
        verdict = "within"
    return {"verdict": verdict, "found": found, "reference": reference, "low": low, "high": high}
