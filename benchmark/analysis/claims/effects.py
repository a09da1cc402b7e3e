"""Effects that claims are judged by, each with the 95% interval that its kind of data supports."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from scipy import stats

from benchmark.analysis.statistics import (
    ALL_EQUAL,
    CONFIDENCE,
    ONE_SEED,
    Estimate,
    all_equal,
    mean_interval,
    point,
    ratio_interval,
)

EXACT_SHARE = "exact binomial"
FEW_COUNTS = "wider of Welch's on logarithms and exact Poisson of the extreme seeds"
WELCH_DIFFERENCE = "Welch's t"
QUOTIENT = "quotient of both intervals"
NO_EVENTS = "none: no violation on either side"
# From so many misses on the spread of a count is small next to that of seeds.
MANY = 10


@dataclass(frozen=True)
class Count:
    """How many of the actions judged missed the constraint, in one seed."""

    missed: int
    judged: int

    @property
    def share(self) -> float:
        """Their quotient."""
        return self.missed / self.judged


@contextmanager
def one_side_may_be_equal() -> Iterator[None]:
    """Without SciPy's warning of a side whose seeds are all equal: its variance is 0, and Welch's interval holds."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Precision loss", RuntimeWarning)
        yield


def exact_share(share: float, draws: int, n: int) -> Estimate:
    """A share of independent draws with its Clopper-Pearson interval.

    Args:
        share: Of ``draws``.
        draws: How many.
        n: Seeds, or flows, that the draws are from.
    """
    low, high = _clopper_pearson(round(share * draws), draws)
    return Estimate(share, low, high, n, EXACT_SHARE)


def share_over_seeds(shares: Sequence[float], judged: Sequence[int]) -> Estimate:
    """Mean share over seeds by Student's t; where all seeds are equal, the exact interval of all actions judged.

    Args:
        shares: One a seed.
        judged: Actions judged in each seed.
    """
    estimate = mean_interval(shares, (0.0, 1.0))
    if estimate.method != ALL_EQUAL:
        return estimate
    return exact_share(shares[0], sum(judged), len(shares))


def count_ratio(above: Sequence[Count], below: Sequence[Count]) -> Estimate:
    """How many times as often actions missed in one sample of seeds as in another.

    Where every seed has many misses, the ratio of geometric means of the shares by
    :func:`~benchmark.analysis.statistics.ratio_interval`, which sees how seeds differ. Where one has few, how they fall
    is uncertain too, and the logarithm of none does not exist: the ratio is then that of all counts, infinite where
    only the lower ones are 0, and its interval is the widest of two. One is the former, with half a count added
    everywhere. The other reaches from the lower end of the least favourable pair of seeds to the upper end of the most
    favourable pair, each exact for two Poisson counts.

    Args:
        above: One count a seed of the numerator.
        below: The same of the denominator.
    """
    n = min(len(above), len(below))
    if n == 0:
        return point(None, 0)
    if min(count.missed for count in (*above, *below)) >= MANY:
        return _ratio(*([count.share for count in side] for side in (above, below)))
    top, bottom = _pool(above), _pool(below)
    if top.missed == bottom.missed == 0:
        return Estimate(None, None, None, n, NO_EVENTS)
    ratio = top.share / bottom.share if bottom.missed else math.inf
    if n == 1:
        return point(ratio, n, ONE_SEED)
    up, down = sorted(above, key=lambda count: count.share), sorted(below, key=lambda count: count.share)
    low, _ = poisson_ratio(up[0], down[-1])
    _, high = poisson_ratio(up[-1], down[0])
    spread = _ratio(*([(count.missed + 0.5) / count.judged for count in side] for side in (above, below)))
    if spread.low is not None and spread.high is not None:
        low, high = min(low, spread.low), max(high, spread.high)
    return Estimate(ratio, low, high, n, FEW_COUNTS)


def poisson_ratio(above: Count, below: Count) -> tuple[float, float]:
    """Exact interval for the ratio of two Poisson rates, from the binomial of one count given their sum."""
    total = above.missed + below.missed
    if total == 0:
        return 0.0, math.inf
    low, high = (p / (1 - p) if p < 1 else math.inf for p in _clopper_pearson(above.missed, total))
    return low * below.judged / above.judged, high * below.judged / above.judged


def difference(above: Sequence[float], below: Sequence[float]) -> Estimate:
    """Difference of the means of two independent samples, one value a seed, with Welch's interval."""
    n = min(len(above), len(below))
    if n == 0:
        return point(None, 0)
    gap = math.fsum(above) / len(above) - math.fsum(below) / len(below)
    if n == 1:
        return point(gap, n, ONE_SEED)
    if all_equal(above) and all_equal(below):
        return point(gap, n, ALL_EQUAL)
    with one_side_may_be_equal():
        interval = stats.ttest_ind(above, below, equal_var=False).confidence_interval(CONFIDENCE)
    return Estimate(gap, float(interval.low), float(interval.high), n, WELCH_DIFFERENCE)


def quotient(above: Estimate, below: Estimate) -> Estimate:
    """Quotient of two positive estimates; its interval is no narrower than 95%, as both hold at once inside it."""
    n = min(above.n, below.n)
    if not above.mean or not below.mean:
        return point(None, n)
    ratio = above.mean / below.mean
    if above.low is None or above.high is None or below.low is None or below.high is None:
        return point(ratio, n, "none: no interval of one side")
    high = above.high / below.low if below.low > 0 else math.inf
    return Estimate(ratio, max(above.low, 0.0) / below.high, high, n, QUOTIENT)


@functools.cache
def _clopper_pearson(hits: int, trials: int) -> tuple[float, float]:
    interval = stats.binomtest(hits, trials).proportion_ci(CONFIDENCE, method="exact")
    return float(interval.low), float(interval.high)


def _ratio(above: Sequence[float], below: Sequence[float]) -> Estimate:
    with one_side_may_be_equal():
        return ratio_interval(above, below)


def _pool(counts: Sequence[Count]) -> Count:
    return Count(sum(count.missed for count in counts), sum(count.judged for count in counts))
