"""Statistics over seeds and tasks: interquartile means, probabilities of improvement, performance profiles.

The measures are those of rliable (Agarwal et al., NeurIPS 2021, arXiv 2108.13264). The bootstrap is SciPy's and
stratified: seeds are drawn with replacement within each task. rliable requires the same number of seeds for every task
and method; here, runs may be missing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmark.analysis.statistics import ALL_EQUAL, CONFIDENCE, UNBOUNDED, Estimate, all_equal, point

RESAMPLES = 9_999
TASK_RESAMPLES = 1_999
TRIMMED = 0.25

STRATIFIED = "stratified bootstrap of seeds"
OVER_TASKS = "bootstrap of tasks"
ONE_SEED_OF_A_TASK = "none: one seed of a task"
FEW_TASKS = "none: fewer than three tasks"
NO_SPREAD = "none: resamples do not differ"
ONE_SIDED = "none: on every task each pair of seeds has the same sign"

Floats = NDArray[np.float64]
# One sequence per task with one value per seed; empty ones do not count.
Values = Sequence[Sequence[float]]


def interquartile_mean(tasks: Values, generator: np.random.Generator) -> Estimate:
    """Mean of the middle half of all runs, with a 95% interval for these tasks and other seeds."""
    return _stratified(tasks, generator, UNBOUNDED, _middle_mean)


def mean_of_tasks(tasks: Values, generator: np.random.Generator, bounds: tuple[float, float] = UNBOUNDED) -> Estimate:
    """Mean over tasks of the mean over seeds, with its 95% interval for other seeds, clipped to ``bounds``."""
    return _stratified(tasks, generator, bounds, _task_mean)


def interquartile_mean_of_other_tasks(tasks: Values, generator: np.random.Generator) -> Estimate:
    """The same interquartile mean, with an interval for other tasks: whole tasks are drawn, with all their seeds.

    Raises:
        ValueError: If tasks have different numbers of seeds.
    """
    strata = _arrange(tasks)
    if not strata:
        return point(None, 0)
    runs = sum(map(len, strata))
    centre = float(_middle_mean(*strata))
    if len(strata) < 3:
        return point(centre, runs, FEW_TASKS)

    values = np.stack(strata)

    def of(chosen: Floats, axis: int = -1) -> Any:
        drawn = values[np.moveaxis(chosen, axis, -1).astype(int)]
        return _middle_mean(drawn.reshape(*drawn.shape[:-2], -1))

    ends = _bootstrap([np.arange(len(strata), dtype=np.float64)], of, generator, TASK_RESAMPLES)
    return _estimate(centre, ends, runs, OVER_TASKS)


def probability_of_improvement(ours: Values, theirs: Values, generator: np.random.Generator) -> Estimate:
    """Probability that a run of ours is better than a run of theirs on the same task, averaged over tasks.

    Higher values are better, ties count half, and tasks have the same order on both sides.

    Raises:
        ValueError: If the numbers of tasks differ.
    """
    pairs = sorted((sorted(a), sorted(b)) for a, b in zip(ours, theirs, strict=True))
    if not pairs:
        return point(None, 0)
    runs = min(sum(len(a) for a, _ in pairs), sum(len(b) for _, b in pairs))
    data = [np.asarray(side, dtype=np.float64) for pair in pairs for side in pair]
    centre = float(_improvement(*data))
    if any(len(side) < 2 for side in data):
        return point(centre, runs, ONE_SEED_OF_A_TASK)
    if all(len(np.unique(np.sign(a[:, None] - b))) == 1 for a, b in zip(data[::2], data[1::2], strict=True)):
        return point(centre, runs, ONE_SIDED)
    return _estimate(centre, _bootstrap(data, _improvement, generator, RESAMPLES), runs, STRATIFIED)


def performance_profile(
    tasks: Values, thresholds: Sequence[float], generator: np.random.Generator
) -> list[tuple[float, Estimate]]:
    """Share of runs with a value above each threshold, with equal weight for each task and pointwise intervals."""
    return [
        (threshold, mean_of_tasks([[float(value > threshold) for value in task] for task in tasks], generator, (0, 1)))
        for threshold in thresholds
    ]


def _arrange(tasks: Values) -> list[Floats]:
    """Tasks with values, sorted, so resamples do not depend on the order of seeds and tasks."""
    return [np.asarray(task, dtype=np.float64) for task in sorted(sorted(task) for task in tasks if len(task))]


def _stratified(
    tasks: Values, generator: np.random.Generator, bounds: tuple[float, float], statistic: Callable[..., Any]
) -> Estimate:
    strata = _arrange(tasks)
    if not strata:
        return point(None, 0)
    runs = sum(map(len, strata))
    centre = float(statistic(*strata))
    if any(len(stratum) < 2 for stratum in strata):
        return point(centre, runs, ONE_SEED_OF_A_TASK)
    if all(all_equal(stratum.tolist()) for stratum in strata):
        return point(centre, runs, ALL_EQUAL)
    low, high = _bootstrap(_widened(strata), statistic, generator, RESAMPLES)
    low, high = (min(max(end, bounds[0]), bounds[1]) for end in (low, high))
    # Widening shifts statistics that are not linear in the values, by less than the width of the interval.
    return _estimate(centre, (min(low, centre), max(high, centre)), runs, STRATIFIED)


def _estimate(centre: float, ends: tuple[float, float], runs: int, method: str) -> Estimate:
    """A bootstrap's estimate, without an interval if its width would be zero (see :func:`mean_interval`)."""
    return point(centre, runs, NO_SPREAD) if all_equal(ends) else Estimate(centre, *ends, runs, method)


def _widened(strata: Sequence[Floats]) -> list[Floats]:
    """Seeds moved away from their task's mean, which corrects the coverage of intervals from few seeds.

    The variance of a bootstrap of n values is too small by (n - 1) / n, and its percentiles are those of a normal
    variable instead of Student's t: for three seeds of one task, nominal 95% intervals cover some 70%
    (docs/leaderboard.md). Deviations are raised by both factors (Davison and Hinkley, Bootstrap Methods, 1997, on
    residuals; Hesterberg, The American Statistician, 2015, on t). The degrees of freedom are Welch and Satterthwaite's:
    if the seeds of one task spread far more than others, they decide the interval nearly alone.
    """
    spread = np.array([stratum.var(ddof=1) / len(stratum) for stratum in strata])
    freedom = spread.sum() ** 2 / sum(spread**2 / [len(stratum) - 1 for stratum in strata])
    upper = (1 + CONFIDENCE) / 2
    student = float(stats.t.ppf(upper, freedom) / stats.norm.ppf(upper))
    return [
        stratum.mean() + (stratum - stratum.mean()) * student * math.sqrt(len(stratum) / (len(stratum) - 1))
        for stratum in strata
    ]


def _bootstrap(
    data: Sequence[Floats], statistic: Callable[..., Any], generator: np.random.Generator, resamples: int
) -> tuple[float, float]:
    found = stats.bootstrap(
        data,
        statistic,
        n_resamples=resamples,
        vectorized=True,
        method="percentile",
        confidence_level=CONFIDENCE,
        rng=generator,
    ).confidence_interval
    return float(found.low), float(found.high)


def _middle_mean(*strata: Floats, axis: int = -1) -> Any:
    return stats.trim_mean(np.concatenate(strata, axis=axis), TRIMMED, axis=axis)


def _task_mean(*strata: Floats, axis: int = -1) -> Any:
    return np.mean([np.mean(stratum, axis=axis) for stratum in strata], axis=0)


def _improvement(*sides: Floats, axis: int = -1) -> Any:
    del axis
    shares = []
    for ours, theirs in zip(sides[::2], sides[1::2], strict=True):
        # Mann and Whitney's U by counting: for small samples, ranking each resample takes several times as long.
        signs = np.sign(ours[..., :, None] - theirs[..., None, :])
        pairs = ours.shape[-1] * theirs.shape[-1]
        shares.append((signs.sum(axis=(-2, -1)) + pairs) / 2 / pairs)
    return np.mean(shares, axis=0)
