"""Whether a profile's runs came out as those of its committed reference did: "did it reproduce?"."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from benchmark.records.results import TOLERANCE_KEYS, Record, RunResult, read_run
from benchmark.records.runs import Run
from benchmark.records.selection import one_line
from benchmark.verification.rerun import another_seed, is_close
from envs.errors import UserError

# Below the folder of all results, apart from what is written there.
REFERENCE = "reference"
# Fewer say too little of how far apart two seeds lie.
LEAST_SEEDS = 3

Verdict = Literal["equal", "within", "outside", "missing"]


class Cell(Record):
    """One quantity of a method on a task.

    Attributes:
        quantity: Its name.
        verdict: "equal" to the bit; "within" the spread of the reference's seeds; "outside" of it; or "missing".
        seeds: Those compared.
        found: The quantity of each of these seeds; empty where one is missing.
        reference: The same in the reference.
        low: Lower end of where another seed of the reference would lie in 99% of cases; None where that is not asked.
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
    """How a profile's runs compare with its reference.

    Attributes:
        cells: By task, method and quantity.
        counts: Cells by verdict.
        processors: What the runs were made on.
        reference_processors: What the reference was made on.
    """

    profile: str
    cells: list[Cell]
    counts: dict[Verdict, int]
    processors: list[str]
    reference_processors: list[str]


def compare_with_reference(results: Path, profile: str, seeds: Sequence[int]) -> Reproduction:
    """Compare the runs of a profile with those of its reference.

    Args:
        results: Folder of all results.
        profile: Name of the profile.
        seeds: Seeds that are compared. The reference has more, for their spread alone.

    Raises:
        UserError: If there is no reference, it has too few seeds, or a file is damaged.
    """
    cells, found = list[Cell](), list[RunResult]()
    reference = read_reference(results, profile, seeds)
    for (task, method), theirs in reference.items():
        ours, reasons = dict[int, RunResult](), list[str]()
        for seed in seeds:
            path = Run(profile, task, method, seed).path(results)
            run = read_run(path) if path.exists() else None
            if reason := why_missing(run, theirs[seed]):
                reasons.append(f"seed {seed} {reason}")
            elif run is not None:
                ours[seed] = run
        found += ours.values()
        if reasons:
            missing = Cell(
                task=task, method=method, quantity="", verdict="missing", seeds=list(seeds), reason="; ".join(reasons)
            )
            cells += [missing.model_copy(update={"quantity": quantity}) for quantity in QUANTITIES]
        else:
            cells += [compare_cell(quantity, ours, theirs) for quantity in QUANTITIES]
    return Reproduction(
        profile=profile,
        cells=cells,
        counts=dict(Counter(cell.verdict for cell in cells)),
        processors=sorted({run.provenance.processor for run in found}),
        reference_processors=sorted({run.provenance.processor for runs in reference.values() for run in runs.values()}),
    )


def read_reference(results: Path, profile: str, seeds: Sequence[int]) -> dict[tuple[str, str], dict[int, RunResult]]:
    """The runs of a profile's reference by task, method and seed.

    Raises:
        UserError: If there is none, it has too few seeds or lacks one of ``seeds``, or a file is damaged.
    """
    folder = results / REFERENCE / profile
    runs: dict[tuple[str, str], dict[int, RunResult]] = defaultdict(dict)
    for path in sorted((folder / "runs").glob("*/*/seed-*.json")):
        run = read_run(path)
        runs[run.task, run.method][run.seed] = run
    if not runs:
        raise UserError(f"profile '{profile}' has no reference: there are no runs in {folder}")
    for (task, method), of_seeds in runs.items():
        if len(of_seeds) < LEAST_SEEDS or not set(seeds) <= set(of_seeds):
            raise UserError(
                f"the reference of {method} on {task} in {folder} lacks seeds; restore it from git, or make it anew"
            )
    return runs


def why_missing(run: RunResult | None, reference: RunResult) -> str:
    """Why there is nothing to compare with a run of the reference; empty where there is."""
    if run is None:
        return "was not run"
    if run.status != "complete":
        return f"{run.status}: {one_line(run.error)}"
    if run.run_key != reference.run_key:
        return "is of other versions or settings than the reference"
    return ""


def compare_cell(quantity: str, ours: Mapping[int, RunResult], theirs: Mapping[int, RunResult]) -> Cell:
    """Compare one quantity of a method on a task.

    Args:
        quantity: Its name in ``QUANTITIES``.
        ours: Complete runs by seed.
        theirs: Those of the reference: the same seeds, and others.
    """
    value = QUANTITIES[quantity]
    found, reference = ([value(runs[seed]) for seed in ours] for runs in (ours, theirs))
    low, high = another_seed([value(run) for run in theirs.values()])
    pairs = list(zip(found, reference, strict=True))
    verdict: Verdict = "outside"
    if found == reference:
        verdict = "equal"
    elif all(low <= here <= high or is_close(here, there) for here, there in pairs):
        verdict = "within"
    first = next(iter(ours.values()))
    return Cell(
        task=first.task,
        method=first.method,
        quantity=quantity,
        verdict=verdict,
        seeds=list(ours),
        found=found,
        reference=reference,
        low=low,
        high=high,
    )


def _final_return(run: RunResult) -> float:
    assert run.returns is not None
    return run.returns.final.mean


def _valid_share(tolerance: str) -> Callable[[RunResult], float]:
    def share(run: RunResult) -> float:
        assert run.violations is not None
        return run.violations.policy.valid_share[tolerance]

    return share


def _violations(run: RunResult) -> float:
    assert run.violations is not None
    return run.violations.behaviour.count


# Of the policy's own output the share that is valid, of what it does with exploration noise the number that is not.
QUANTITIES: dict[str, Callable[[RunResult], float]] = {
    "final return": _final_return,
    **{f"valid share at tolerance {key}": _valid_share(key) for key in TOLERANCE_KEYS},
    "violations with noise": _violations,
}
