"""What is measured over training: a value at each step of every seed, and means over seeds with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pandas as pd

from benchmark.analysis.statistics import UNBOUNDED, mean_intervals
from benchmark.analysis.summaries import NOT_NEGATIVE
from benchmark.records.selection import CompleteRun, Selection

Points = Callable[[CompleteRun], Iterable[tuple[float, float]]]


@dataclass(frozen=True)
class Curves:
    """Curves of every task and method.

    Attributes:
        seeds: A row a task, method, seed and step.
        means: A row a task, method and step: mean, ``low`` and ``high`` of the 95% interval at this step by itself
            (NaN where there is none), and ``n`` seeds.
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
    """Returns of the evaluations during training."""

    def points(run: CompleteRun) -> Iterable[tuple[float, float]]:
        return ((float(evaluation.step), evaluation.mean) for evaluation in run.returns.evaluations)

    return _curves(found, points, UNBOUNDED)


def violation_curves(found: Selection) -> Curves:
    """Violations of the policy's own output so far, at tolerance 0."""

    def points(run: CompleteRun) -> Iterable[tuple[float, float]]:
        curves = run.record.curves
        pairs = zip(curves.get("step", []), curves.get("violations/policy", []), strict=True)
        return ((step, count) for step, count in pairs if step is not None and count is not None)

    return _curves(found, points, NOT_NEGATIVE)


def _curves(found: Selection, points: Points, bounds: tuple[float, float]) -> Curves:
    rows = []
    for task in found.tasks:
        for run in found.of_task(task):
            name = (task, run.record.method, run.record.seed)
            rows += [(*name, step, value) for step, value in points(run)]
    seeds = pd.DataFrame(rows, columns=["task", "method", "seed", "step", "value"])
    means = [
        pd.DataFrame({"task": task, "method": method, **mean_intervals(group, bounds)})
        for (task, method), group in seeds.groupby(["task", "method"], sort=False)
    ]
    columns = ["task", "method", "step", "mean", "low", "high", "n"]
    return Curves(seeds, pd.concat(means) if means else pd.DataFrame(columns=columns))
