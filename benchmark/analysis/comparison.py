"""The difference between two sets of runs, task by task, and what it shows in words."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.analysis.comparison_inputs import Side
from benchmark.analysis.statistics import ALL_EQUAL, OTHER_MACHINES, UNBOUNDED, Estimate, difference_interval
from benchmark.analysis.summaries import prepares, total, training
from benchmark.records.config import recorded_config
from benchmark.records.provenance import mixed_libraries, one_machine
from benchmark.records.results import TOLERANCES, Record, digest
from benchmark.records.selection import CompleteRun
from benchmark.records.yaml import unequal_settings
from envs.errors import UserError

SHARES = (-1.0, 1.0)
LOAD = (
    "seconds include whatever else the machine did during a run, which may explain a difference: "
    "use `acrl timing` to compare the cost of a training step"
)
Value = Callable[[CompleteRun], float | None]


@dataclass(frozen=True)
class Quantity:
    """A quantity to compare.

    Attributes:
        of: Its value for one run; None if the run has none.
        bounds: Smallest and largest possible difference.
        clock: Whether it only compares on the same machine.
    """

    name: str
    unit: str
    of: Value
    tolerance: float | None = None
    bounds: tuple[float, float] = UNBOUNDED
    clock: bool = False


class Difference(Record):
    """The difference of one quantity on one task.

    Attributes:
        task: Id of the task.
        method_a: Method of side A.
        method_b: Method of side B.
        quantity: ``final return``, ``best return``, ``valid share in training``, ``violations in training``, ``total``,
            or ``total without prepare`` if a side prepared something.
        unit: ``return``, ``share``, ``actions`` or ``seconds``.
        tolerance: Tolerance at which actions count as valid; null if none applies.
        a: Mean over the runs of A; null if not compared.
        b: Mean over the runs of B; null if not compared.
        difference: b - a.
        low: Lower end of its 95% confidence interval; null if there is none.
        high: Upper end of the interval.
        interval: How the interval was made, or why there is none.
        n_a: Number of runs of A.
        n_b: Number of runs of B.
        shown: What the interval shows, in words.
    """

    task: str
    method_a: str
    method_b: str
    quantity: str
    unit: str
    tolerance: float | None
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    interval: str
    n_a: int
    n_b: int
    shown: str


class Compared(Record):
    """The comparison of two sides, A and B.

    Attributes:
        schema_version: Version of this format.
        profile: Profile of all runs.
        a: Side A.
        b: Side B.
        key: SHA-256 of what was compared.
        differences: One for each task, method and quantity.
        notes: Caveats.
    """

    schema_version: Literal[1] = 1
    profile: str
    a: str
    b: str
    key: str
    differences: list[Difference]
    notes: list[str]


def quantities(prepared: bool) -> Iterator[Quantity]:
    """All quantities; ``prepared`` says whether a run of either side had anything to prepare."""
    yield Quantity("final return", "return", lambda run: run.returns.final.mean)
    yield Quantity("best return", "return", lambda run: run.returns.best.mean)
    for tolerance in TOLERANCES:
        yield Quantity("valid share in training", "share", _valid_share(tolerance), tolerance, SHARES)
    yield Quantity("violations in training", "actions", _violations, 0.0)
    yield Quantity("total", "seconds", total, clock=True)
    if prepared:
        yield Quantity("total without prepare", "seconds", training, clock=True)


def _valid_share(tolerance: float) -> Value:
    def of(run: CompleteRun) -> float | None:
        policy = run.violations.policy
        return policy.valid_at(tolerance) if policy.n else None

    return of


def _violations(run: CompleteRun) -> float | None:
    policy = run.violations.policy
    return policy.count if policy.n else None


def compare(a: Side, b: Side) -> Compared:
    """The second side minus the first, for every task and method that both have.

    Raises:
        UserError: If their profiles differ or they have nothing in common.
    """
    if a.profile != b.profile:
        raise UserError(f"A is of profile '{a.profile}' and B of '{b.profile}': profiles are never mixed")
    pairs = list(common(a, b))
    if not pairs:
        listed = [", ".join(f"{task} {method}" for task, method in side.runs) for side in (a, b)]
        raise UserError(
            f"A and B have no task in common: A has {listed[0]}; B has {listed[1]}; "
            "choose the methods of a revision with --method"
        )
    found: list[Difference] = []
    notes = [f"{name}: {note}" for name, side in (("A", a), ("B", b)) for note in side.notes]
    for task, method_a, method_b in pairs:
        first, second = a.runs[task, method_a], b.runs[task, method_b]
        if first[0].steps != second[0].steps:
            budgets = f"{first[0].steps:,} and {second[0].steps:,} steps"
            notes.append(f"{task}: budgets of {budgets}, which do not compare")
            continue
        one, other = (recorded_config(runs[0].record.config, method_a) for runs in (first, second))
        unequal = [name for name, *_ in unequal_settings(one, other)]
        if method_a == method_b and unequal:
            notes.append(f"{task}, {method_a}: different settings: {', '.join(unequal)}")
        prepared = any(prepares(run) for run in (*first, *second))
        found += [difference(quantity, first, second) for quantity in quantities(prepared)]
        origins = [run.record.provenance for run in (*first, *second)]
        if mixed := mixed_libraries(origins):
            notes.append(f"{task}: runs were made with different versions of libraries: {'; '.join(mixed)}")
        if not one_machine(origins):
            machines = "; ".join(sorted({run.machine for run in (*first, *second)}))
            notes.append(f"{task}: seconds are from different or unknown machines, {machines}, and do not compare")
    keys = []
    for name, side, method in (("A", a, 1), ("B", b, 2)):
        compared = {(pair[0], pair[method]) for pair in pairs}
        notes += [f"only {name} has {task} {other}" for task, other in side.runs if (task, other) not in compared]
        runs = [run for pair in sorted(compared) for run in side.runs[pair]]
        keys.append([digest(json.loads(run.record.model_dump_json())) for run in runs])
    if any(quantity.unit == "seconds" and quantity.difference is not None for quantity in found):
        notes.append(LOAD)
    if shared := len(set(keys[0]) & set(keys[1])):
        notes.append(f"{shared} runs are the same file on both sides: these samples are not independent")
    return Compared(
        profile=a.profile,
        a=a.label,
        b=b.label,
        key=hashlib.sha256(json.dumps([a.label, b.label, *keys]).encode()).hexdigest(),
        differences=found,
        notes=notes,
    )


def common(a: Side, b: Side) -> Iterator[tuple[str, str, str]]:
    """Task, first method and second method of each comparison."""
    methods = [list(dict.fromkeys(method for _, method in side.runs)) for side in (a, b)]
    if all(len(names) == 1 for names in methods):
        (first,), (second,) = methods
        yield from ((task, first, second) for task, _ in a.runs if (task, second) in b.runs)
    else:
        yield from ((task, method, method) for task, method in a.runs if (task, method) in b.runs)


def difference(quantity: Quantity, first: Sequence[CompleteRun], second: Sequence[CompleteRun]) -> Difference:
    """One quantity on one task, for a method on each side."""
    sides = [[value for run in runs if (value := quantity.of(run)) is not None] for runs in (first, second)]
    estimate = difference_interval(sides[1], sides[0], quantity.bounds)
    if quantity.clock and not one_machine(run.record.provenance for run in (*first, *second)):
        estimate = Estimate(None, None, None, 0, OTHER_MACHINES)
    means = [math.fsum(values) / len(values) if values and estimate.mean is not None else None for values in sides]
    return Difference(
        task=first[0].record.task,
        method_a=first[0].record.method,
        method_b=second[0].record.method,
        quantity=quantity.name,
        unit=quantity.unit,
        tolerance=quantity.tolerance,
        a=means[0],
        b=means[1],
        difference=estimate.mean,
        low=estimate.low,
        high=estimate.high,
        interval=estimate.method,
        n_a=len(sides[0]),
        n_b=len(sides[1]),
        shown=in_words(estimate) + (" (under unknown load)" if quantity.clock and estimate.low is not None else ""),
    )


def in_words(estimate: Estimate) -> str:
    """What the interval of a difference shows, in words."""
    why = estimate.method.removeprefix("none: ")
    if estimate.mean is None:
        return f"not compared: {why}"
    if estimate.low is None or estimate.high is None:
        same = estimate.mean == 0 and estimate.method == ALL_EQUAL
        return "equal in all runs" if same else f"no interval: {why}"
    if estimate.low > 0:
        return "B higher"
    return "A higher" if estimate.high < 0 else "no difference shown"
