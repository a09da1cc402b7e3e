"""The leaderboard: returns on one scale for all tasks, validity at each tolerance, and which differences are shown."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.analysis.aggregate import (
    Values,
    interquartile_mean,
    interquartile_mean_of_other_tasks,
    mean_of_tasks,
    probability_of_improvement,
)
from benchmark.analysis.statistics import Estimate, mean_interval, point
from benchmark.analysis.summaries import SHARE, Cell, make_cell, make_frame, over_runs
from benchmark.records.results import TOLERANCES
from benchmark.records.selection import CompleteRun, Selection

ALL_TASKS = "all"
# Every method has what this one has but its own idea, so it is what an idea is compared with.
BASELINE = "ddpg-projection"
SEED = 20_240


def generator() -> np.random.Generator:
    """The same resamples for every cell, so that no cell depends on which others there are."""
    return np.random.default_rng(SEED)


def final_returns(runs: Iterable[CompleteRun]) -> list[float]:
    """Return of the last policy, a run each."""
    return [run.returns.final.mean for run in runs]


def scale(found: Selection, task: str) -> tuple[float, float] | str:
    """Returns that count as 0 and as 1 on a task, or why there are none.

    0 is the mean of random feasible actions, 1 that of the learner without the constraint at the same budget.
    """
    low, high = (final_returns(runs) for runs in found.anchors(task))
    if not low or not high:
        missing = [name for name, values in (("random-feasible", low), ("unconstrained", high)) if not values]
        return f"no complete {' or '.join(missing)} run to measure returns by"
    if min(high) <= max(low):
        return "at this budget learning without the constraint is not clearly better than random feasible actions"
    return float(np.mean(low)), float(np.mean(high))


def scores(found: Selection, task: str, method: str) -> list[float]:
    """Final returns on the task's scale, a run each; empty where there is no scale or no run."""
    ends = scale(found, task)
    if isinstance(ends, str):
        return []
    low, high = ends
    return [(value - low) / (high - low) for value in final_returns(found.runs(task, method))]


def scored_tasks(found: Selection) -> list[str]:
    """Tasks that count in the aggregate: those with a scale and a run of any method."""
    return [task for task in found.tasks if any(scores(found, task, method) for method in found.methods)]


def whole_methods(found: Selection) -> list[str]:
    """Methods with a row of all tasks together: ranked ones, and those with a run of every task that has runs."""
    ranked, tasks = ranked_methods(found), found.begun()
    return [m for m in found.methods if m in ranked or (tasks and all(found.runs(task, m) for task in tasks))]


def ranked_methods(found: Selection) -> list[str]:
    """Methods with a run of every such task; others would be compared on easier or harder tasks."""
    tasks = scored_tasks(found)
    return [m for m in found.methods if tasks and all(scores(found, task, m) for task in tasks)]


def rank_ranges(estimates: Mapping[str, Estimate]) -> dict[str, tuple[int, int]]:
    """Best and worst rank that each method's interval allows; what overlaps is a tie. No interval, no rank."""
    known = {name: one for name, one in estimates.items() if one.low is not None and one.high is not None}
    ranges = {}
    for name, one in known.items():
        others = [other for other_name, other in known.items() if other_name != name]
        above = sum(_below(one, other) for other in others)
        below = sum(_below(other, one) for other in others)
        ranges[name] = (1 + above, len(known) - below)
    return ranges


def _below(one: Estimate, other: Estimate) -> bool:
    return one.high is not None and other.low is not None and one.high < other.low


def leaderboard(found: Selection) -> pd.DataFrame:
    """One tidy frame: rows of single tasks, and of all tasks together for each method that has them."""
    single = {
        task: {m: interquartile_mean(_one_task(scores(found, task, m)), generator()) for m in found.methods}
        for task in found.tasks
    }
    ranks_by_task = {task: rank_ranges(estimates) for task, estimates in single.items()}

    def cells(task: str, method: str) -> Iterable[Cell]:
        return task_cells(found, task, method, single[task][method], ranks_by_task[task].get(method))

    rows = over_runs(found, cells)
    tasks, ranked = scored_tasks(found), ranked_methods(found)
    whole = {m: interquartile_mean([scores(found, task, m) for task in tasks], generator()) for m in ranked}
    ranks = rank_ranges(whole)
    shared = {"task": ALL_TASKS, "profile": found.profile, "seeds": " ".join(map(str, found.seeds)), "steps": None}
    for method in whole_methods(found):
        scored = aggregate_cells(found, tasks, method, whole.get(method, point(None, 0)), ranks.get(method))
        valid = validity_cells(found, found.begun(), method)
        for cells_of_all, count in ((scored, len(tasks)), (valid, len(found.begun()))):
            row = shared | {"method": method, "N": count * len(found.seeds)}
            rows += [cell | row for cell in cells_of_all]
    return make_frame(("task", "method"), rows).astype({"steps": "Int64"})


def _one_task(values: list[float]) -> Values:
    return [values] if values else []


def task_cells(
    found: Selection, task: str, method: str, score: Estimate, rank: tuple[int, int] | None
) -> Iterable[Cell]:
    """A method on one task."""
    runs, ends = found.runs(task, method), scale(found, task)
    yield make_cell("final return", "return", mean_interval(final_returns(runs)))
    yield make_cell("score", "score", score, note=ends if isinstance(ends, str) and runs else "")
    yield from rank_cells(score, rank)
    for name, counts in valid_shares([runs]).items():
        for tolerance, shares in counts.items():
            yield make_cell(name, "share", mean_interval(shares[0] if shares else [], SHARE), tolerance)


def rank_cells(score: Estimate, rank: tuple[int, int] | None) -> Iterable[Cell]:
    """Best and worst rank."""
    best, worst = rank or (None, None)
    yield make_cell("best rank", "rank", point(best, score.n, "none: of the score's interval"))
    yield make_cell("worst rank", "rank", point(worst, score.n, "none: of the score's interval"))


def aggregate_cells(
    found: Selection, tasks: Sequence[str], method: str, score: Estimate, rank: tuple[int, int] | None
) -> Iterable[Cell]:
    """A method on all scored tasks together; without a score there is nothing but its place."""
    values: Values = [scores(found, task, method) for task in tasks] if score.n else []
    yield make_cell("score", "score", score)
    yield make_cell("score, other tasks", "score", interquartile_mean_of_other_tasks(values, generator()))
    yield from rank_cells(score, rank)
    theirs: Values = [scores(found, task, BASELINE) for task in tasks]
    if method == BASELINE or not score.n or not all(theirs):
        better = point(None, 0)
    else:
        better = probability_of_improvement(values, theirs, generator())
    yield make_cell("improvement", "share", better)


def validity_cells(found: Selection, tasks: Sequence[str], method: str) -> Iterable[Cell]:
    """Validity of a method, mean of all tasks with runs, with a scale or without."""
    for name, counts in valid_shares([found.runs(task, method) for task in tasks]).items():
        for tolerance, shares in counts.items():
            yield make_cell(name, "share", mean_of_tasks(shares, generator(), SHARE), tolerance)


def valid_shares(tasks: Sequence[Sequence[CompleteRun]]) -> dict[str, dict[float, list[list[float]]]]:
    """Valid shares of the policy's own output by tolerance: a list a task, a share a seed.

    "valid share" is over the whole training, "final valid share" of the last policy.
    """
    found: dict[str, dict[float, list[list[float]]]] = {"valid share": {}, "final valid share": {}}
    for tolerance in TOLERANCES:
        key = f"{tolerance:g}"
        training = [[r.violations.policy.valid_share[key] for r in runs if r.violations.policy.n] for runs in tasks]
        policies = [[r.record.final_policy for r in runs] for runs in tasks]
        last = [[policy.violations.valid_share[key] for policy in task if policy] for task in policies]
        found["valid share"][tolerance] = training if all(training) else []
        found["final valid share"][tolerance] = last if all(last) else []
    return found


def improvements(found: Selection) -> pd.DataFrame:
    """For every pair of ranked methods: how likely a run of the first is better than one of the second."""
    tasks = scored_tasks(found)
    rows = []
    for first, second in itertools.permutations(ranked_methods(found), 2):
        ours, theirs = ([scores(found, task, method) for task in tasks] for method in (first, second))
        cell = make_cell("improvement", "share", probability_of_improvement(ours, theirs, generator()))
        rows.append({"method": first, "other": second, "N": len(tasks) * len(found.seeds)} | cell)
    return make_frame(("method", "other"), rows).drop(columns=["steps", "seeds", "profile"])


def thresholds(found: Selection, count: int = 41) -> list[float]:
    """Scores at which performance profiles are taken: evenly from the lowest run to the highest."""
    tasks = scored_tasks(found)
    values = [v for task in tasks for method in ranked_methods(found) for v in scores(found, task, method)]
    if not values:
        return []
    low, high = math.floor(10 * min(values)) / 10, math.ceil(10 * max(values)) / 10
    return [round(float(value), 6) for value in np.linspace(low, high, count)]
