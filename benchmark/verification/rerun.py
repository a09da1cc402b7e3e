"""Repeats one run as far as time allows, and compares it number by number with the recorded one.

A run up to an evaluation does not depend on its length: a method never knows its budget, and the harness only acts on
it at the last step. A run made one step longer than that evaluation must therefore have the same returns, violations
and losses up to it.
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
from benchmark.records.store import artifact_paths
from benchmark.training.harness import Outcome, Progress, train
from envs.registry import make_task
from methods.base import method_class

# Runs no longer than this are repeated whole.
SHORT = 2_000
# Fewer seeds tell too little about their spread.
LEAST_SEEDS = 3
# On another machine last digits differ (1e-7 in single precision), and a few hundred updates amplify that.
CLOSE = 1e-4
# One honest submission in a hundred fails the check, for each of its numbers.
CONFIDENCE = 0.99

Verdict = Literal["agrees", "agrees within the spread of seeds", "differs", "undecided"]


@dataclass(frozen=True)
class Stretch:
    """The part of a run to repeat: steps and evaluations up to the last one compared; ``whole`` if that is all."""

    steps: int
    evaluations: int
    whole: bool


class Comparison(NamedTuple):
    """Comparison of a run with its repetition, in words and by numbers."""

    verdict: Verdict
    detail: str


def shortest(runs: Sequence[RunResult]) -> RunResult:
    """The run to repeat: one that learns, if any, with the fewest steps and the shortest preparation and training."""

    def order(run: RunResult) -> tuple[Any, ...]:
        return (
            not any(learns_by(run)),
            run.config["steps"],
            run.seconds.prepare,
            run.seconds.total,
            run.task,
            run.method,
            run.seed,
        )

    return min(runs, key=order)


def choose_stretch(run: RunResult, steps: int | None) -> Stretch:
    """How much of a complete run to repeat: at most ``steps``, but at least up to the first evaluation.

    By default, a short run is repeated whole, and a longer one up to an evaluation after a stretch in which the method
    learned at every step.
    """
    assert run.returns is not None
    total, at = run.config["steps"], [one.step for one in run.returns.evaluations]
    if (steps is None and total <= SHORT) or (steps is not None and steps >= total):
        return Stretch(total, len(at), whole=True)
    if steps is not None:
        count = max(1, sum(step <= steps for step in at))
    else:
        learned = learns_by(run)
        count = min(learned.index(True) + 2, len(at)) if any(learned) else 1
    return Stretch(at[count - 1], count, whole=at[count - 1] == total)


def learns_by(run: RunResult) -> list[bool]:
    """For each evaluation, whether the method had made an update since the last one."""
    assert run.returns is not None
    losses = [values for name, values in run.curves.items() if name.startswith("update/")]
    return [any(values[index] is not None for values in losses) for index in range(len(run.returns.evaluations))]


def repeat(run: RunResult, stretch: Stretch, kept: Path, make_progress: Callable[[int], Progress]) -> Outcome:
    """Repeat a run up to the end of the stretch, in a temporary folder.

    Args:
        run: A complete run whose configuration is known to be harmless.
        stretch: How much of it to repeat.
        kept: The profile's folder of results, whose flows and samples of the task are used if their keys agree.
        make_progress: Makes a progress display from the number of steps.

    Raises:
        MethodFailedError: If the method fails.
    """
    torch.set_num_threads(1)
    config = RunConfig.model_validate(run.config)
    if not stretch.whole:
        # The final evaluation is not needed, and the last evaluation of the stretch must not be the run's last.
        evaluation = config.evaluation.model_copy(update={"final_episodes": 1, "judged_steps": 0})
        config = config.model_copy(update={"steps": stretch.steps + 1, "evaluation": evaluation})
    config = config.model_copy(update={"timeout_seconds": None})
    task = make_task(run.task)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in artifact_paths(kept, task.id):
            copy = folder / path.relative_to(kept)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        return train(task, run.method, config, run.seed, folder, make_progress(config.steps))


def differences(run: RunResult, current: bool) -> list[str]:
    """Why the last digits of a repeated run may differ here; empty if they must not.

    ``current`` says whether its key has today's versions.
    """
    here, origin = collect_provenance(run_code(make_task(run.task), method_class(run.method))), run.provenance
    # With one thread, as set by `repeat`.
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
        run: The recorded run.
        again: The repeated stretch of it.
        stretch: What was repeated.
        reasons: Why last digits may differ, if they may.
        others: Runs of the same profile, task, method and configuration, including this one, for their spread.
    """
    # Older runs recorded other states.
    states = bool(run.visited_steps)
    ours, theirs = (dict(numbers(one, stretch, states)) for one in (again, run))
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
            "agrees", f"every number within {CLOSE:g}, relatively; made with {why}, so last digits may differ"
        )
    if len({other.seed for other in others}) < LEAST_SEEDS:
        few = f"it was made with {why}, so digits differ, and fewer than {LEAST_SEEDS} seeds do not tell by how much"
        return Comparison("undecided", f"{shown}; {few}")
    outside = list(_outside(again, stretch, others))
    if outside:
        return Comparison("differs", f"{'; '.join(outside)}: more than {why} can explain")
    return Comparison(
        "agrees within the spread of seeds",
        f"made with {why}: return and violations at step {stretch.steps:,} lie where another of its "
        f"{len(others)} seeds would in {CONFIDENCE:.0%} of cases",
    )


def numbers(run: RunResult | Outcome, stretch: Stretch, states: bool = True) -> Iterator[tuple[str, Any]]:
    """Every number of a stretch by name, with or without the recorded states."""
    assert run.returns is not None
    evaluations = run.returns.evaluations[: stretch.evaluations]
    yield from leaves("returns.evaluations", [one.model_dump() for one in evaluations])
    for name, values in run.curves.items():
        points = values[: stretch.evaluations]
        # A curve that starts after the stretch is not part of it.
        yield from leaves(f"curves.{name}", points) if any(point is not None for point in points) else ()
    if stretch.whole:
        if states:
            yield from leaves("visited", run.visited)
        for name in ("final", "best"):
            yield from leaves(f"returns.{name}", getattr(run.returns, name).model_dump())
        for name in ("violations", "final_policy", "calls"):
            yield from leaves(name, getattr(run, name).model_dump(exclude=None if states else {"contexts"}))


def leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The single values in nested plain data by path."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from leaves(f"{name}.{key}", entry)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from leaves(f"{name}.{index}", entry)
    else:
        yield name, value


def _outside(again: Outcome, stretch: Stretch, others: Sequence[RunResult]) -> Iterator[str]:
    """Numbers of the repeated run outside the prediction interval of the recorded seeds."""
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
    """Whether two numbers agree up to last digits, relatively, or absolutely below 1."""
    if recorded is None or again is None:
        return recorded is again
    return math.isclose(recorded, again, rel_tol=tolerance, abs_tol=tolerance)


def another_seed(values: Sequence[float]) -> tuple[float, float]:
    """Student's 99% prediction interval for another seed's value, from two or more values."""
    n, mean = len(values), statistics.fmean(values)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * statistics.stdev(values) * math.sqrt(1 + 1 / n)
    return mean - half, mean + half
