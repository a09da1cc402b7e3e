"""Means over seeds and ratios of means, each with an interval where the data supports one."""

from __future__ import annotations

import functools
import math
import statistics
import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95
UNBOUNDED = (-math.inf, math.inf)

STUDENT = "Student's t"
WELCH = "Welch's t on logarithms"
DIFFERENCE = "Welch's t"
NO_DATA = "none: no data"
ONE_SEED = "none: one seed"
ALL_EQUAL = "none: all seeds equal"
NOT_FINITE = "none: not finite"
NOT_ESTIMATED = "none: not estimated"
OTHER_MACHINES = "none: different or unknown machines"
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Estimate:
    """A value estimated from ``n`` seeds.

    Attributes:
        mean: The value; None without data.
        low: Lower end of the 95% interval; None without an interval.
        high: Upper end of it.
        n: Number of seeds; for a ratio, the smaller of both numbers.
        method: How the interval was made, or why there is none.
    """

    mean: float | None
    low: float | None
    high: float | None
    n: int
    method: str

    @property
    def band(self) -> tuple[float | None, float | None]:
        """Ends of a band to draw, of width zero without an interval: otherwise the band would skip the point."""
        return self.mean if self.low is None else self.low, self.mean if self.high is None else self.high


def point(value: float | None, n: int, method: str = NOT_ESTIMATED) -> Estimate:
    """A value without an interval, and why it has none."""
    return Estimate(value, None, None, n, NO_DATA if value is None else method)


def mean_of_common(values: Sequence[Mapping[Key, float]]) -> dict[Key, float]:
    """The mean of every key that all mappings have; empty without mappings."""
    common = [key for key in values[0] if all(key in one for one in values)] if values else []
    return {key: statistics.fmean(one[key] for one in values) for key in common}


def all_equal(values: Sequence[float]) -> bool:
    """Whether values only differ by rounding, so their spread cannot be estimated."""
    return math.isclose(max(values), min(values), rel_tol=1e-12)


def mean_interval(values: Sequence[float], bounds: tuple[float, float] = UNBOUNDED) -> Estimate:
    """Mean of one value per seed with the 95% interval of Student's t.

    One seed tells nothing about the spread, and seeds that are all equal would give an interval of width zero, a
    certainty that a few runs cannot have. Neither gets an interval, nor do values of which one is not finite, and the
    estimate says why. The interval is clipped to ``bounds``, the possible values of the mean, such as (0, 1) for a
    share.
    """
    if not values:
        return point(None, 0)
    if not all(map(math.isfinite, values)):
        return point(sum(values) / len(values), len(values), NOT_FINITE)
    if all_equal(values):
        return point(float(values[0]), len(values), ONE_SEED if len(values) == 1 else ALL_EQUAL)
    error = statistics.stdev(values) / math.sqrt(len(values))
    mean, reach = math.fsum(values) / len(values), student(len(values) - 1) * error
    low, high = (min(max(end, bounds[0]), bounds[1]) for end in (mean - reach, mean + reach))
    return Estimate(mean, low, high, len(values), STUDENT)


@functools.cache
def student(freedom: int) -> float:
    """The two-sided quantile of Student's t for the confidence level."""
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def mean_intervals(points: pd.DataFrame, bounds: tuple[float, float] = UNBOUNDED) -> dict[str, Any]:
    """:func:`mean_interval` at every step of one curve at once.

    Args:
        points: Columns ``seed``, ``step`` and ``value``.
        bounds: See :func:`mean_interval`.

    Returns:
        Columns ``step``, ``mean``, ``low``, ``high`` and ``n``, by step; NaN without an interval.
    """
    steps = points.pivot(index="step", columns="seed", values="value")
    n, mean, deviation = (
        found.to_numpy(dtype=float) for found in (steps.count(axis=1), steps.mean(axis=1), steps.std(axis=1))
    )
    known = deviation > 1e-12 * np.abs(mean)
    reach = np.where(known, np.array([student(int(size) - 1) if size > 1 else np.nan for size in n]), np.nan)
    reach = reach * deviation / np.sqrt(n)
    low, high = (np.clip(end, *bounds) for end in (mean - reach, mean + reach))
    return {"step": steps.index.to_numpy(), "mean": mean, "low": low, "high": high, "n": n.astype(int)}


def ratio_interval(numerator: Sequence[float], denominator: Sequence[float]) -> Estimate:
    """Ratio of geometric means of two independent samples of positive values, one per seed, with its 95% interval.

    The interval is Welch's t for the difference of the mean logarithms. A bootstrap of two or three seeds can only
    repeat what it has seen, so its interval is far too narrow. The logarithm turns the ratio into a difference, keeps
    it positive and makes a / b and b / a agree. Geometric means differ from arithmetic ones by a fraction of the
    spread, which is small for times of the same program.

    Raises:
        ValueError: If a value is not positive.
    """
    if numerator and denominator and min(*numerator, *denominator) <= 0:
        raise ValueError("a ratio of means needs positive values")
    above, below = ([math.log(value) for value in side] for side in (numerator, denominator))
    logs = difference_interval(above, below)
    mean, low, high = (None if end is None else math.exp(end) for end in (logs.mean, logs.low, logs.high))
    return Estimate(mean, low, high, logs.n, WELCH if logs.method == DIFFERENCE else logs.method)


def difference_interval(
    second: Sequence[float], first: Sequence[float], bounds: tuple[float, float] = UNBOUNDED
) -> Estimate:
    """Mean of ``second`` minus that of ``first``, two independent samples, with the 95% interval of Welch's t.

    A sample has one value per seed. Equal seeds are not paired, although methods share the episodes of their
    evaluations: where their returns rise and fall together, the interval is too wide. It is clipped to ``bounds``, the
    possible differences, such as (-1, 1) for shares.
    """
    n = min(len(second), len(first))
    if n == 0:
        return point(None, 0)
    difference = math.fsum(second) / len(second) - math.fsum(first) / len(first)
    if n == 1:
        return point(difference, n, ONE_SEED)
    if all_equal(second) and all_equal(first):
        return point(difference, n, ALL_EQUAL)
    with warnings.catch_warnings():
        # SciPy warns if the seeds of one side are all equal, which does no harm: their variance is 0.
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = stats.ttest_ind(second, first, equal_var=False).confidence_interval(CONFIDENCE)
    low, high = (float(min(max(end, bounds[0]), bounds[1])) for end in (interval.low, interval.high))
    return Estimate(difference, low, high, n, DIFFERENCE)
