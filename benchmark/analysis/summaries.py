"""The numbers behind tables and curves: tidy frames with one row per cell, with its interval and origin."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.analysis import statistics
from benchmark.analysis.statistics import Estimate, mean_interval, point, ratio_interval
from benchmark.records.provenance import one_machine
from benchmark.records.reports import LATENTS, FlowReport
from benchmark.records.results import PARTS, TOLERANCES, ViolationCount
from benchmark.records.runs import IDLE_METHOD, LOW_METHOD
from benchmark.records.selection import CompleteRun, Selection

# The paper's baseline: the same learner as ddpg-projection, with a solver call for every action.
REFERENCE = "ddpg-projection-qp"
ACTIONS = ("policy", "behaviour", "executed")

# An empty preparation takes microseconds by the clock; a real one takes more than this.
LEAST_PREPARE = 1e-3
NOTHING_PREPARED = "none: nothing to prepare"
SHARED_FLOW = "none: one flow for all seeds"

NOT_NEGATIVE = (0.0, math.inf)
SHARE = (0.0, 1.0)
LAST = ("mean", "low", "high", "interval", "n", "N", "profile", "steps", "seeds", "note")

Cell = dict[str, Any]


def make_frame(first: tuple[str, ...], cells: Iterable[Cell]) -> pd.DataFrame:
    """Cells as a data frame, starting with the columns that name a cell."""
    frame = pd.DataFrame(list(cells), columns=[*first, "quantity", "tolerance", "unit", *LAST])
    return frame.astype({"steps": "Int64"})


def make_cell(quantity: str, unit: str, estimate: Estimate, tolerance: float | None = None, note: str = "") -> Cell:
    """One cell, without the columns that name its row."""
    return {
        "quantity": quantity,
        "unit": unit,
        "tolerance": tolerance,
        "mean": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "interval": estimate.method,
        "n": estimate.n,
        "note": note,
    }


def over_runs(
    found: Selection, cells: Callable[[str, str], Iterable[Cell]], references: Sequence[str] = ()
) -> list[Cell]:
    """The cells of every task and method, with the profile, budget and seeds that they belong to.

    ``references`` are methods shown after those of the selection.
    """
    rows = []
    seeds = " ".join(str(seed) for seed in found.seeds)
    for task in found.tasks:
        steps = found.steps(task)
        for method in dict.fromkeys([*found.methods, *references]):
            row = {"task": task, "method": method, "profile": found.profile, "seeds": seeds}
            rows += [cell | row | {"N": len(found.seeds), "steps": steps} for cell in cells(task, method)]
    return rows


def violations(found: Selection) -> pd.DataFrame:
    """Number and size of violations in training: of the policy, with noise, and of executed actions."""

    def cells(task: str, method: str) -> Iterable[Cell]:
        for actions in ACTIONS:
            counts = [getattr(run.violations, actions) for run in found.runs(task, method)]
            yield from (cell | {"actions": actions} for cell in violation_cells(counts))

    return make_frame(("task", "method", "actions"), over_runs(found, cells))


def violation_cells(counts: list[ViolationCount]) -> Iterable[Cell]:
    """Count, share, sizes and valid shares of one kind of action over seeds."""
    judged = [count for count in counts if count.n > 0]
    missed = [count for count in counts if count.count > 0]
    largest = max((count.max for count in judged), default=None)
    yield make_cell("judged", "actions", mean_interval([count.n for count in counts], NOT_NEGATIVE))
    yield make_cell("count", "actions", mean_interval([count.count for count in judged], NOT_NEGATIVE), 0.0)
    yield make_cell("share", "share", mean_interval([count.count / count.n for count in judged], SHARE), 0.0)
    # A seed without violations has no size: averaging its 0 would make the sizes of the others look smaller.
    yield make_cell("mean size", "size", mean_interval([count.mean for count in missed], NOT_NEGATIVE), 0.0)
    yield make_cell("largest size", "size", point(largest, len(judged), "none: largest of all seeds"), 0.0)
    for tolerance in TOLERANCES:
        shares = [count.valid_at(tolerance) for count in judged]
        yield make_cell("valid share", "share", mean_interval(shares, SHARE), tolerance)


def returns(found: Selection) -> pd.DataFrame:
    """Evaluation return of the last policy, and of the best one, evaluated again."""

    def cells(task: str, method: str) -> Iterable[Cell]:
        runs = found.runs(task, method)
        yield make_cell("final", "return", mean_interval([run.returns.final.mean for run in runs]))
        yield make_cell("best", "return", mean_interval([run.returns.best.mean for run in runs]))

    return make_frame(("task", "method"), over_runs(found, cells, [LOW_METHOD, IDLE_METHOD]))


def part_seconds(run: CompleteRun, part: str) -> float:
    """Seconds of one part of training; "other" is the rest, which is the harness itself."""
    seconds = run.record.seconds
    if part != "other":
        return float(getattr(seconds, part))
    return seconds.total - seconds.prepare - seconds.act - seconds.project - seconds.env - seconds.update


def wallclock(found: Selection) -> pd.DataFrame:
    """Seconds of training by part, and the ratio of the total to that of the reference on the same task."""

    def cells(task: str, method: str) -> Iterable[Cell]:
        runs, reference = found.runs(task, method), found.runs(task, REFERENCE)
        mixed = different_machines(runs)
        for part in PARTS:
            spent = [part_seconds(run, part) for run in runs]
            estimate = preparation(runs) if part == "prepare" else mean_interval(spent, NOT_NEGATIVE)
            yield make_cell(part, "seconds", estimate, note=mixed)
        for quantity, clock in (("total", total), ("training", training)):
            spent = [clock(run) for run in runs]
            yield make_cell(quantity, "seconds", mean_interval(spent, NOT_NEGATIVE), note=mixed)
        note = different_machines([*runs, *reference]) if runs and reference else ""
        for quantity, clock in (("total ratio", total), ("training ratio", training)):
            estimate = point(1.0 if runs else None, len(runs), "none: the reference itself")
            if note:
                estimate = Estimate(None, None, None, min(len(runs), len(reference)), statistics.OTHER_MACHINES)
            elif method != REFERENCE:
                estimate = ratio_interval([clock(run) for run in runs], [clock(run) for run in reference])
            yield make_cell(quantity, "ratio", estimate, note=note)

    return make_frame(("task", "method"), over_runs(found, cells))


def prepares(run: CompleteRun) -> bool:
    """Whether there was anything to do before training."""
    return run.record.seconds.prepare >= LEAST_PREPARE


def preparation(runs: list[CompleteRun]) -> Estimate:
    """Seconds of preparation, without a value if there was none, and without an interval if seeds share one flow.

    Every seed is charged the cost of its flow when it was made.
    """
    if runs and not any(prepares(run) for run in runs):
        return Estimate(None, None, None, len(runs), NOTHING_PREPARED)
    spent = mean_interval([run.record.seconds.prepare for run in runs], NOT_NEGATIVE)
    settings = [run.record.config.get("method", {}) for run in runs]
    recipes = [{name: one.get(name) for name in ("samples", "flow")} for one in settings]
    shared = len(runs) > 1 and all(recipe["flow"] and recipe == recipes[0] for recipe in recipes)
    return point(spent.mean, spent.n, SHARED_FLOW) if shared else spent


def total(run: CompleteRun) -> float:
    """Seconds of the whole training, preparation included."""
    return run.record.seconds.total


def training(run: CompleteRun) -> float:
    """Seconds of the whole training without preparation."""
    return run.record.seconds.total - run.record.seconds.prepare


def different_machines(runs: list[CompleteRun]) -> str:
    """A note on runs whose times do not compare; empty if they do."""
    return "" if one_machine(run.record.provenance for run in runs) else "times of different or unknown machines"


def f1(report: FlowReport) -> float:
    """Harmonic mean of validity (z uniform, tolerance 0) and recall."""
    validity = report.validity["uniform"]["0"]
    return 2 * validity * report.recall / (validity + report.recall) if validity + report.recall else 0.0


def flows(found: Selection) -> pd.DataFrame:
    """Validity of each flow by states, kind of latent and tolerance; its recall and its training time."""
    names = [method for method in found.methods if any(flow == method for _, flow in found.flows)] or [""]
    cells = [
        cell | {"task": task, "flow": name, "profile": found.profile}
        for task in found.tasks
        for name in names
        for cell in [*validity_cells(found, task, name), *flow_cells(found.flows.get((task, name)))]
    ]
    return make_frame(("task", "flow", "states", "latent"), cells).drop(columns=["steps", "seeds"])


def validity_cells(found: Selection, task: str, name: str) -> Iterable[Cell]:
    """Shares of valid actions of a flow at sampled states, and at each policy's, where also of the policy's latents."""
    report, visited = found.flows.get((task, name)), found.visited.get((task, name))
    policies = [policy.violations for run in found.runs(task, name) if (policy := run.record.final_policy)]

    def of_policies(latent: str, tolerance: float) -> list[float]:
        if latent == "policy":
            return [count.valid_at(tolerance) for count in policies if count.n]
        return visited.at(latent, tolerance) if visited else []

    for latent, tolerance in itertools.product(LATENTS, TOLERANCES):
        value = report.validity[latent][f"{tolerance:g}"] if report else None
        share = point(value, int(report is not None), "none: one flow a task")
        yield {"states": "sampled", "latent": latent, "N": 1} | make_cell("validity", "share", share, tolerance)
    for latent, tolerance in itertools.product((*LATENTS, "policy"), TOLERANCES):
        share = mean_interval(of_policies(latent, tolerance), SHARE)
        row = {"states": "visited", "latent": latent, "N": len(found.seeds)}
        yield row | make_cell("validity", "share", share, tolerance)


def flow_cells(report: FlowReport | None) -> Iterable[Cell]:
    """Recall, F1 and cost of one flow."""
    for quantity, unit, value in (
        ("recall", "share", report.recall if report else None),
        ("F1", "share", f1(report) if report else None),
        ("draws", "draws", float(report.draws) if report else None),
        ("seconds", "seconds", report.seconds if report else None),
    ):
        estimate = point(value, int(report is not None), "none: one flow a task")
        yield {"states": "", "latent": "", "N": 1} | make_cell(quantity, unit, estimate)


def coverage_frame(found: Selection) -> pd.DataFrame:
    """Tidy frame of all tasks whose coverage was measured (``acrl visited``): shares over seeds."""

    def cells(task: str, method: str) -> Iterable[Cell]:
        report = found.coverage.get(task)
        seeds = [str(run.record.seed) for run in found.runs(task, method)]
        by_seed = report.runs.get(method, {}) if report else {}
        shares = [by_seed[seed] for seed in seeds if seed in by_seed]
        if not shares:
            return
        yield make_cell("within range", "share", mean_interval([one.within_range for one in shares], SHARE))
        yield make_cell("near", "share", mean_interval([one.near for one in shares], SHARE))
        for tolerance in TOLERANCES:
            valid = [one.valid[f"{tolerance:g}"] for one in shares if one.valid]
            yield make_cell("valid there", "share", mean_interval(valid, SHARE), tolerance)

    return make_frame(("task", "method"), over_runs(found, cells))


@dataclass(frozen=True)
class Curves:
    """A quantity over training, for every task and method.

    Attributes:
        seeds: One row per task, method, seed and step.
        means: One row per task, method and step: mean, ``low`` and ``high`` of the pointwise 95% interval (NaN if there
            is none), and ``n`` seeds.
    """

    seeds: pd.DataFrame
    means: pd.DataFrame

    def of(self, task: str, method: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Seeds and means of one curve; both empty without a run."""
        seeds, means = (
            frame[(frame["task"] == task) & (frame["method"] == method)] for frame in (self.seeds, self.means)
        )
        return seeds, means


def learning_curves(found: Selection) -> Curves:
    """Evaluation returns during training, and a level line for the return of doing nothing."""
    curves = _curves(
        found, lambda run: [(float(one.step), one.mean) for one in run.returns.evaluations], statistics.UNBOUNDED
    )
    levels = []
    for task, seeds in curves.seeds.groupby("task", sort=False):
        runs = found.idle(str(task))
        if runs and IDLE_METHOD not in found.methods:
            level = mean_interval([run.returns.final.mean for run in runs])
            row = {"task": task, "method": IDLE_METHOD, "mean": level.mean, "low": level.low, "high": level.high}
            levels += [row | {"step": step, "n": level.n} for step in (seeds["step"].min(), seeds["step"].max())]
    if not levels:
        return curves
    level_lines = pd.DataFrame(levels).astype({"low": float, "high": float})
    return Curves(curves.seeds, pd.concat([curves.means, level_lines]))


def violation_curves(found: Selection) -> Curves:
    """Cumulative violations of the policy's own output at tolerance 0."""

    def points(run: CompleteRun) -> Iterable[tuple[float, float]]:
        curves = run.record.curves
        pairs = zip(curves.get("step", []), curves.get("violations/policy", []), strict=True)
        return ((step, count) for step, count in pairs if step is not None and count is not None)

    return _curves(found, points, NOT_NEGATIVE)


def _curves(
    found: Selection, points: Callable[[CompleteRun], Iterable[tuple[float, float]]], bounds: tuple[float, float]
) -> Curves:
    rows = []
    for task in found.tasks:
        for run in found.of_task(task):
            name = (task, run.record.method, run.record.seed)
            rows += [(*name, step, value) for step, value in points(run)]
    seeds = pd.DataFrame(rows, columns=["task", "method", "seed", "step", "value"])
    means = [
        pd.DataFrame({"task": task, "method": method, **statistics.mean_intervals(group, bounds)})
        for (task, method), group in seeds.groupby(["task", "method"], sort=False)
    ]
    columns = ["task", "method", "step", "mean", "low", "high", "n"]
    return Curves(seeds, pd.concat(means) if means else pd.DataFrame(columns=columns))
