"""The leaderboard: everything derived from a profile's results, once, for all pages that show it.

Returns are put on one scale for all tasks (0 is random feasible actions, 1 DDPG without the constraint).
Validity is given at each tolerance, and intervals tell how sure a difference is.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.analysis import aggregate, anchors, summaries, timing
from benchmark.analysis.statistics import Estimate, mean_interval, point
from benchmark.analysis.summaries import SHARE, Cell, make_cell, make_frame, over_runs
from benchmark.records.config import Params, Profile
from benchmark.records.results import TOLERANCES
from benchmark.records.runs import is_stale
from benchmark.records.selection import CompleteRun, Selection, read_profile

ALL_TASKS = "all"
# Every method shares its learner with this one, so it is the baseline for each method's own idea.
BASELINE = "ddpg-projection"
SEED = 20_240
THRESHOLDS = 41


@dataclass(frozen=True)
class Leaderboard:
    """What a profile's results show. It is immutable, and each part is computed when first used.

    Attributes:
        found: The results.
    """

    found: Selection

    # --- scores ------------------------------------------------------------------------------------------------

    @cached_property
    def scales(self) -> dict[str, tuple[float, float] | str]:
        """The returns of score 0 and score 1 on each task, or why there are none."""
        return {task: anchors.scale(self.found, task) for task in self.found.tasks}

    def unscored(self) -> dict[str, str]:
        """The tasks with runs, of a method or of doing nothing, that have no scores, and why."""
        begun = [task for task in self.found.tasks if task in self.found.begun() or self.found.idle(task)]
        return {task: end for task in begun if isinstance(end := self.scales[task], str)}

    @cached_property
    def scores(self) -> dict[tuple[str, str], list[float]]:
        """The scores of runs by task and method; empty without a scale or a run."""
        found: dict[tuple[str, str], list[float]] = {}
        for task, method in itertools.product(self.found.tasks, self.found.methods):
            ends, runs = self.scales[task], self.found.runs(task, method)
            if isinstance(ends, str):
                found[task, method] = []
            else:
                found[task, method] = [anchors.score(ends, value) for value in anchors.final_returns(runs)]
        return found

    @cached_property
    def scored_tasks(self) -> list[str]:
        """Tasks in the aggregate: those with a scale and a run of any method."""
        return [task for task in self.found.tasks if any(self.scores[task, method] for method in self.found.methods)]

    @cached_property
    def ranked_methods(self) -> list[str]:
        """Methods with equally many runs of every scored task; others would be compared on easier or harder tasks."""
        counts = {m: {len(self.scores[task, m]) for task in self.scored_tasks} for m in self.found.methods}
        return [method for method, made in counts.items() if len(made) == 1 and made != {0}]

    def seeds_of(self, method: str) -> int:
        """The fewest seeds of a method on a scored task."""
        return min((len(scores) for scores in self.values(method)), default=0)

    @cached_property
    def whole_tasks(self) -> list[str]:
        """Tasks behind the rows of all tasks together: the scored ones, or all with runs if none is scored."""
        return self.scored_tasks or list(self.found.begun())

    @cached_property
    def whole_methods(self) -> list[str]:
        """Methods with a row of all tasks together: those with runs of each of these tasks."""
        tasks = self.whole_tasks
        return [m for m in self.found.methods if tasks and all(self.found.runs(task, m) for task in tasks)]

    def values(self, method: str) -> aggregate.Values:
        """Scores of a method, one sequence per scored task."""
        return [self.scores[task, method] for task in self.scored_tasks]

    # --- frames ------------------------------------------------------------------------------------------------

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One tidy frame: rows of single tasks, and of all tasks together."""
        found = self.found
        single = {
            task: {m: aggregate.interquartile_mean([self.scores[task, m]], generator()) for m in found.methods}
            for task in found.tasks
        }
        ranks_by_task = {task: self._ranks(estimates) for task, estimates in single.items()}

        def cells(task: str, method: str) -> Iterable[Cell]:
            return self._task_cells(task, method, single[task][method], ranks_by_task[task].get(method))

        rows = over_runs(found, cells)
        whole = {m: aggregate.interquartile_mean(self.values(m), generator()) for m in self.ranked_methods}
        ranks = self._ranks(whole)
        shared = {"task": ALL_TASKS, "profile": found.profile, "seeds": " ".join(map(str, found.seeds)), "steps": None}
        for method in self.whole_methods:
            scored = self._aggregate_cells(method, whole.get(method, point(None, 0)), ranks.get(method))
            runs = [found.runs(task, method) for task in self.whole_tasks]
            valid = validity_cells(runs, lambda shares: aggregate.mean_of_tasks(shares, generator(), SHARE))
            row = shared | {"method": method, "N": len(self.whole_tasks) * len(found.seeds)}
            rows += [cell | row for cell in (*scored, *valid)]
        return make_frame(("task", "method"), rows)

    @cached_property
    def improvements(self) -> pd.DataFrame:
        """Probability of improvement of the first over the second method, for every pair of ranked methods."""
        rows = []
        for first, second in itertools.permutations(self.ranked_methods, 2):
            better = aggregate.probability_of_improvement(self.values(first), self.values(second), generator())
            row = {"method": first, "other": second, "N": len(self.scored_tasks) * len(self.found.seeds)}
            rows.append(row | make_cell("improvement", "share", better))
        return make_frame(("method", "other"), rows).drop(columns=["steps", "seeds", "profile"])

    @cached_property
    def profiles(self) -> dict[str, list[tuple[float, Estimate]]]:
        """Share of runs above each score for each ranked method, from the lowest to the highest run of all."""
        values = [value for method in self.ranked_methods for task in self.values(method) for value in task]
        if not values:
            return {}
        low, high = math.floor(10 * min(values)) / 10, math.ceil(10 * max(values)) / 10
        points = [round(float(value), 6) for value in np.linspace(low, high, THRESHOLDS)]
        return {m: aggregate.performance_profile(self.values(m), points, generator()) for m in self.ranked_methods}

    # Parts derived from the results alone; see the functions.
    anchors = cached_property(lambda board: anchors.anchor_frame(board.found))
    coverage = cached_property(lambda board: summaries.coverage_frame(board.found))
    flows = cached_property(lambda board: summaries.flows(board.found))
    learning = cached_property(lambda board: summaries.learning_curves(board.found))
    missed = cached_property(lambda board: summaries.violation_curves(board.found))
    returns = cached_property(lambda board: summaries.returns(board.found))
    timing = cached_property(lambda board: timing.timing_frame(board.found))
    violations = cached_property(lambda board: summaries.violations(board.found))
    wallclock = cached_property(lambda board: summaries.wallclock(board.found))

    def _ranks(self, scores: Mapping[str, Estimate]) -> dict[str, tuple[int, int]]:
        """Ranks by score; empty if the profile is too short to rank by."""
        return rank_ranges(scores) if self.found.ranked else {}

    # --- cells -------------------------------------------------------------------------------------------------

    def _task_cells(self, task: str, method: str, score: Estimate, rank: tuple[int, int] | None) -> Iterable[Cell]:
        """Cells of a method on one task."""
        runs, ends = self.found.runs(task, method), self.scales[task]
        yield make_cell("final return", "return", mean_interval(anchors.final_returns(runs)))
        yield make_cell("score", "score", score, note=ends if isinstance(ends, str) and runs else "")
        yield from rank_cells(score, rank)
        yield from validity_cells([runs], lambda shares: mean_interval(shares[0] if shares else [], SHARE))

    def _aggregate_cells(self, method: str, score: Estimate, rank: tuple[int, int] | None) -> Iterable[Cell]:
        """Cells of a method on all scored tasks together; empty estimates without a score."""
        values: aggregate.Values = self.values(method) if score.n else []
        yield make_cell("score", "score", score)
        yield make_cell("score, other tasks", "score", aggregate.interquartile_mean_of_other_tasks(values, generator()))
        yield from rank_cells(score, rank)
        theirs = self.values(BASELINE) if BASELINE in self.found.methods else []
        better = point(None, 0)
        if method != BASELINE and score.n and theirs and all(theirs):
            better = aggregate.probability_of_improvement(values, theirs, generator())
        yield make_cell("improvement", "share", better)


def read_leaderboard(folder: Path, profile: Profile, params: Params) -> Leaderboard:
    """The leaderboard of a profile from its folder ``results/<profile>``.

    Raises:
        UserError: As :func:`benchmark.records.selection.read_profile`.
    """
    found = read_profile(folder, profile)
    runs = [run.record for runs in found.complete.values() for run in runs]
    stale = Counter(run.method for run in runs if is_stale(run, params))
    return Leaderboard(dataclasses.replace(found, stale=dict(sorted(stale.items()))))


def generator() -> np.random.Generator:
    """A generator with the same resamples for every cell, so cells do not depend on each other."""
    return np.random.default_rng(SEED)


def rank_ranges(estimates: Mapping[str, Estimate]) -> dict[str, tuple[int, int]]:
    """Best and worst rank that each method's interval allows: overlapping methods tie. Without interval, no rank."""
    ends = {n: (one.low, one.high) for n, one in estimates.items() if one.low is not None and one.high is not None}
    ranges = {}
    for name, (low, high) in ends.items():
        above = sum(high < other_low for other_low, _ in ends.values())
        below = sum(other_high < low for _, other_high in ends.values())
        ranges[name] = (1 + above, len(ends) - below)
    return ranges


def rank_cells(score: Estimate, rank: tuple[int, int] | None) -> Iterable[Cell]:
    """Best and worst rank."""
    best, worst = rank or (None, None)
    yield make_cell("best rank", "rank", point(best, score.n, "none: of the score's interval"))
    yield make_cell("worst rank", "rank", point(worst, score.n, "none: of the score's interval"))


def validity_cells(
    tasks: Sequence[Sequence[CompleteRun]], estimate: Callable[[list[list[float]]], Estimate]
) -> Iterable[Cell]:
    """Valid shares of the policy's own output by tolerance: over the whole training, and of the last policy.

    Args:
        tasks: Complete runs, one sequence per task.
        estimate: Estimates the mean of shares, given one list per task with one share per seed.
    """
    training = [[run.violations.policy for run in runs] for runs in tasks]
    last = [[run.record.final_policy.violations for run in runs if run.record.final_policy] for runs in tasks]
    for name, counts in (("valid share", training), ("final valid share", last)):
        for tolerance in TOLERANCES:
            shares = [[count.valid_at(tolerance) for count in of_task if count.n] for of_task in counts]
            yield make_cell(name, "share", estimate(shares if all(shares) else []), tolerance)
