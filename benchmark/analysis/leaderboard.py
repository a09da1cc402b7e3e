"""The leaderboard: everything that is derived from a profile's results, once, for all that show them.

Returns are put on one scale for all tasks (0: random feasible actions, 1: the learner without the constraint);
validity is given at each tolerance; intervals say which differences are shown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.analysis import aggregate, anchors, summaries, timing
from benchmark.analysis.statistics import Estimate, mean_interval, point
from benchmark.analysis.summaries import SHARE, Cell, make_cell, make_frame, over_runs
from benchmark.records.config import Profile
from benchmark.records.results import TOLERANCES
from benchmark.records.selection import CompleteRun, Selection, read_selection

ALL_TASKS = "all"
# Every method has what this one has but its own idea, so it is what an idea is compared with.
BASELINE = "ddpg-projection"
SEED = 20_240
THRESHOLDS = 41


@dataclass(frozen=True)
class Leaderboard:
    """What a profile's results say. Nothing in it changes; each part is derived when it is first asked for.

    Attributes:
        found: The results that it is derived from.
    """

    found: Selection

    # --- scores ------------------------------------------------------------------------------------------------

    @cached_property
    def scales(self) -> dict[str, tuple[float, float] | str]:
        """Returns that count as 0 and as 1 on each task, or why there are none."""
        return {task: anchors.scale(self.found, task) for task in self.found.tasks}

    @cached_property
    def scores(self) -> dict[tuple[str, str], list[float]]:
        """Final returns on a task's scale by task and method, a run each; empty without a scale or a run."""
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
        """Tasks that count in the aggregate: those with a scale and a run of any method."""
        return [task for task in self.found.tasks if any(self.scores[task, method] for method in self.found.methods)]

    @cached_property
    def ranked_methods(self) -> list[str]:
        """Methods with a run of every such task; others would be compared on easier or harder tasks."""
        tasks = self.scored_tasks
        return [m for m in self.found.methods if tasks and all(self.scores[task, m] for task in tasks)]

    @cached_property
    def whole_tasks(self) -> list[str]:
        """The tasks that rows of all tasks together are of: the scored ones, or all with runs where none is scored."""
        return self.scored_tasks or list(self.found.begun())

    @cached_property
    def whole_methods(self) -> list[str]:
        """Methods with a row of all tasks together: those with a run of each of these tasks."""
        tasks = self.whole_tasks
        return [m for m in self.found.methods if tasks and all(self.found.runs(task, m) for task in tasks)]

    def values(self, method: str) -> aggregate.Values:
        """Scores of a method, a sequence for each scored task."""
        return [self.scores[task, method] for task in self.scored_tasks]

    # --- frames ------------------------------------------------------------------------------------------------

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One tidy frame: rows of single tasks, and of all tasks together for each method that has them."""
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
        """For every pair of ranked methods: how likely a run of the first is better than one of the second."""
        rows = []
        for first, second in itertools.permutations(self.ranked_methods, 2):
            better = aggregate.probability_of_improvement(self.values(first), self.values(second), generator())
            row = {"method": first, "other": second, "N": len(self.scored_tasks) * len(self.found.seeds)}
            rows.append(row | make_cell("improvement", "share", better))
        return make_frame(("method", "other"), rows).drop(columns=["steps", "seeds", "profile"])

    @cached_property
    def profiles(self) -> dict[str, list[tuple[float, Estimate]]]:
        """Of each ranked method the share of runs above each score, from the lowest run of all to the highest."""
        values = [value for method in self.ranked_methods for task in self.values(method) for value in task]
        if not values:
            return {}
        low, high = math.floor(10 * min(values)) / 10, math.ceil(10 * max(values)) / 10
        points = [round(float(value), 6) for value in np.linspace(low, high, THRESHOLDS)]
        return {m: aggregate.performance_profile(self.values(m), points, generator()) for m in self.ranked_methods}

    # What is derived from the results alone, each by the function that says what it is.
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
        """Ranks by score; none of a profile that is too short to rank by."""
        return rank_ranges(scores) if self.found.ranked else {}

    # --- cells -------------------------------------------------------------------------------------------------

    def _task_cells(self, task: str, method: str, score: Estimate, rank: tuple[int, int] | None) -> Iterable[Cell]:
        """A method on one task."""
        runs, ends = self.found.runs(task, method), self.scales[task]
        yield make_cell("final return", "return", mean_interval(anchors.final_returns(runs)))
        yield make_cell("score", "score", score, note=ends if isinstance(ends, str) and runs else "")
        yield from rank_cells(score, rank)
        yield from validity_cells([runs], lambda shares: mean_interval(shares[0] if shares else [], SHARE))

    def _aggregate_cells(self, method: str, score: Estimate, rank: tuple[int, int] | None) -> Iterable[Cell]:
        """A method on all scored tasks together; without a score there is nothing but its place."""
        values: aggregate.Values = self.values(method) if score.n else []
        yield make_cell("score", "score", score)
        yield make_cell("score, other tasks", "score", aggregate.interquartile_mean_of_other_tasks(values, generator()))
        yield from rank_cells(score, rank)
        theirs = self.values(BASELINE) if BASELINE in self.found.methods else []
        better = point(None, 0)
        if method != BASELINE and score.n and theirs and all(theirs):
            better = aggregate.probability_of_improvement(values, theirs, generator())
        yield make_cell("improvement", "share", better)


def read_leaderboard(folder: Path, profile: Profile) -> Leaderboard:
    """The leaderboard of a profile from its folder ``results/<profile>``.

    Raises:
        UserError: As :func:`benchmark.records.selection.read_selection`.
    """
    found = read_selection(folder, folder.name, profile.tasks, profile.methods, profile.seeds, ranked=profile.ranked)
    return Leaderboard(found)


def generator() -> np.random.Generator:
    """The same resamples for every cell, so that no cell depends on which others there are."""
    return np.random.default_rng(SEED)


def rank_ranges(estimates: Mapping[str, Estimate]) -> dict[str, tuple[int, int]]:
    """Best and worst rank that each method's interval allows; what overlaps is a tie. No interval, no rank."""
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
        tasks: Complete runs, a sequence a task.
        estimate: Of shares, one a seed and a list a task; of nothing where a task has none.
    """
    training = [[run.violations.policy for run in runs] for runs in tasks]
    last = [[run.record.final_policy.violations for run in runs if run.record.final_policy] for runs in tasks]
    for name, counts in (("valid share", training), ("final valid share", last)):
        for tolerance in TOLERANCES:
            shares = [[count.valid_at(tolerance) for count in of_task if count.n] for of_task in counts]
            yield make_cell(name, "share", estimate(shares if all(shares) else []), tolerance)
