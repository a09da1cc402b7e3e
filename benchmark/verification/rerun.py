"""One run of those verified, made again as far as time allows, and compared number by number with what is recorded.

What a run did up to an evaluation does not depend on how long it went on: a method is never told its budget, and the
harness acts on it at the last step alone. A run made one step longer than that evaluation therefore has to show the
same returns, violations and losses up to it.
"""

from __future__ import annotations

import math
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from scipy import stats

from benchmark.records.config import RunConfig
from benchmark.records.provenance import collect_provenance, mixed_libraries, run_code
from benchmark.records.results import RunResult
from benchmark.training.harness import Outcome, Progress, train
from envs.registry import make_task
from methods.base import method_class

# Runs no longer than this are made again whole.
SHORT = 2_000
# Fewer say too little of how far apart two seeds lie.
LEAST_SEEDS = 3
# On another machine last digits differ (1e-7 in single precision), which a few hundred updates make grow.
CLOSE = 1e-4
# A check that one honest submission in a hundred would fail, for each of its numbers.
CONFIDENCE = 0.99

Verdict = Literal["agrees", "agrees within the spread of seeds", "differs", "undecided"]


@dataclass(frozen=True)
class Stretch:
    """What of a run is made again: steps and evaluations up to the last one compared; ``whole`` if that is all."""

    steps: int
    evaluations: int
    whole: bool


class Comparison(NamedTuple):
    """How a run compares with itself made again: in words, and by numbers."""

    verdict: Verdict
    detail: str


def shortest(runs: Sequence[RunResult]) -> RunResult:
    """The run with the fewest steps; of these the one that prepared and trained for the least time."""
    return min(
        runs,
        key=lambda run: (run.config["steps"], run.seconds.prepare, run.seconds.total, run.task, run.method, run.seed),
    )


def choose_stretch(run: RunResult, steps: int | None) -> Stretch:
    """How much of a complete run to make again: at most ``steps``, but no fewer than the first evaluation takes.

    By default that is a short run whole, and of a longer one as much as has an evaluation after a stretch in which
    every step was learned from.
    """
    assert run.returns is not None
    total, at = run.config["steps"], [one.step for one in run.returns.evaluations]
    if (steps is None and total <= SHORT) or (steps is not None and steps >= total):
        return Stretch(total, len(at), whole=True)
    if steps is not None:
        count = max(1, sum(step <= steps for step in at))
    else:
        learned = [
            any(values[index] is not None for name, values in run.curves.items() if name.startswith("update/"))
            for index in range(len(at))
        ]
        count = min(learned.index(True) + 2, len(at)) if any(learned) else 1
    return Stretch(at[count - 1], count, whole=at[count - 1] == total)


def repeat(run: RunResult, stretch: Stretch, kept: Path, make_progress: Callable[[int], Progress]) -> Outcome:
    """Make a run again up to the end of the stretch, in a folder of its own that is gone afterwards.

    Args:
        run: A complete run whose configuration is known to be harmless.
        stretch: How much of it.
        kept: The profile's folder of results: flows and samples of the task that are kept there are used if they are
            of the same key.
        make_progress: Given the number of steps, shows them being done.

    Raises:
        MethodFailedError: If the method fails.
    """
    torch.set_num_threads(1)
    config = RunConfig.model_validate(run.config)
    if not stretch.whole:
        # The evaluations at the end are of no use here; the last of the stretch must not be the run's last.
        evaluation = config.evaluation.model_copy(update={"final_episodes": 1, "judged_steps": 0})
        config = config.model_copy(update={"steps": stretch.steps + 1, "evaluation": evaluation})
    config = config.model_copy(update={"timeout_seconds": None})
    task = make_task(run.task)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for pattern in (f"samples/{task.id}.safetensors", f"flows/*/{task.id}.safetensors"):
            for path in kept.glob(pattern):
                copy = folder / path.relative_to(kept)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)
        return train(task, run.method, config, run.seed, folder, make_progress(config.steps))


def differences(run: RunResult, current: bool) -> list[str]:
    """Why a recorded run made again here may differ in its last digits; empty where it must not.

    ``current`` is whether its key is that of today's versions.
    """
    here, origin = collect_provenance(run_code(make_task(run.task), method_class(run.method))), run.provenance
    # One thread, as `repeat` sets it.
    ours, theirs = (here.processor, here.accelerator, 1), (origin.processor, origin.accelerator, origin.threads)
    reasons = [
        (theirs != ours, "another machine"),
        (origin.code_path not in (None, here.code_path), "another code path of the processor"),
        (origin.platform not in (None, here.platform), "another platform"),
        (bool(mixed_libraries([origin, here])), "other versions of libraries"),
        (origin.code_sha256 != here.code_sha256, "other code"),
        (not current, "other versions or settings"),
    ]
    return [reason for differs, reason in reasons if differs]


def compare(
    run: RunResult, again: Outcome, stretch: Stretch, reasons: Sequence[str], others: Sequence[RunResult]
) -> Comparison:
    """Compare a recorded run with the same run made again.

    Args:
        run: As recorded.
        again: The stretch of it, as it came out now.
        stretch: What was made again.
        reasons: Why last digits may differ, if they may.
        others: Runs of the same profile, task, method and configuration, this one included: their spread.
    """
    ours, theirs = (dict(numbers(one, stretch)) for one in (again, run))
    unequal = [name for name in theirs | ours if theirs.get(name) != ours.get(name)]
    if not unequal:
        return Comparison("agrees", f"all {len(theirs)} numbers compared are equal to the bit")
    first = unequal[0]
    shown = f"{len(unequal)} of {len(theirs)} numbers differ, the first {first}: "
    shown += f"{theirs.get(first)} recorded, {ours.get(first)} repeated"
    if not reasons:
        return Comparison("differs", f"{shown}; with this machine, lock and code they must be equal")
    why = " and ".join(reasons)
    if theirs.keys() == ours.keys() and all(is_close(theirs[name], ours[name]) for name in unequal):
        return Comparison(
            "agrees", f"every number within {CLOSE:g}, relatively; made with {why}, where last digits may differ"
        )
    if len({other.seed for other in others}) < LEAST_SEEDS:
        few = f"it was made with {why}, where digits differ, and fewer than {LEAST_SEEDS} seeds say by how much"
        return Comparison("undecided", f"{shown}; {few}")
    outside = list(_outside(again, stretch, others))
    if outside:
        return Comparison("differs", f"{'; '.join(outside)}: more than {why} can explain")
    return Comparison(
        "agrees within the spread of seeds",
        f"made with {why}: return and violations at step {stretch.steps:,} lie where another of its "
        f"{len(others)} seeds would in {CONFIDENCE:.0%} of cases",
    )


def numbers(run: RunResult | Outcome, stretch: Stretch) -> Iterator[tuple[str, Any]]:
    """Every number of a stretch by its name."""
    assert run.returns is not None
    evaluations = run.returns.evaluations[: stretch.evaluations]
    yield from leaves("returns.evaluations", [one.model_dump() for one in evaluations])
    for name, values in run.curves.items():
        points = values[: stretch.evaluations]
        # A curve that starts after the stretch is no part of it.
        yield from leaves(f"curves.{name}", points) if any(point is not None for point in points) else ()
    if stretch.whole:
        yield from leaves("visited", run.visited)
        for name in ("final", "best"):
            yield from leaves(f"returns.{name}", getattr(run.returns, name).model_dump())
        for name in ("violations", "final_policy", "calls"):
            yield from leaves(name, getattr(run, name).model_dump())


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The single values in nested plain data, each by its path."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from leaves(f"{name}.{key}", entry)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from leaves(f"{name}.{index}", entry)
    else:
        yield name, value


def _outside(again: Outcome, stretch: Stretch, others: Sequence[RunResult]) -> Iterator[str]:
    """What of the run made again lies outside of what its recorded seeds let one expect of another seed."""
    for name, value in _summary(again, stretch):
        values = [dict(_summary(other, stretch))[name] for other in others]
        low, high = another_seed(values)
        if not low <= value <= high:
            yield f"{name} is {value:,.6g} when repeated; another seed would give {low:,.6g} to {high:,.6g}"


def _summary(run: RunResult | Outcome, stretch: Stretch) -> Iterator[tuple[str, float]]:
    assert run.returns is not None
    index = stretch.evaluations - 1
    yield f"the return at step {stretch.steps:,}", run.returns.evaluations[index].mean
    if stretch.whole:
        yield "the final return", run.returns.final.mean
    for name in ("policy", "behaviour"):
        yield f"violations of the {name} up to there", run.curves[f"violations/{name}"][index] or 0.0


def is_close(recorded: float | None, again: float | None, tolerance: float = CLOSE) -> bool:
    """Whether two numbers are equal but for last digits, relatively, or absolutely below 1."""
    if recorded is None or again is None:
        return recorded is again
    return math.isclose(recorded, again, rel_tol=tolerance, abs_tol=tolerance)


def another_seed(values: Sequence[float]) -> tuple[float, float]:
    """Where another seed's value lies in 99% of cases, from two values or more: Student's prediction interval."""
    n, mean = len(values), statistics.fmean(values)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * statistics.stdev(values) * math.sqrt(1 + 1 / n)
    return mean - half, mean + half
