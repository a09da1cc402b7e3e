"""Effects and outcomes against closed forms, enumeration and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.analysis.claims import evidence
from benchmark.analysis.claims.evidence import Count, count_ratio, exact_share, quotient
from benchmark.analysis.claims.rule import BOTH_SIDES, Outcome, decide
from benchmark.analysis.statistics import Estimate, point, ratio_interval

N = 1000
counts = st.lists(st.integers(0, N).map(lambda missed: Count(missed, N)), min_size=2, max_size=4)


def estimate(mean: float, low: float, high: float) -> Estimate:
    return Estimate(mean, low, high, 3, "known")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (2.0, 5.0, "supported"),
        (1.999, 5.0, "open"),
        (1.0, 2.0, "open"),
        (1.0, 1.999, "contradicted"),
        (3.0, math.inf, "supported"),
        (-math.inf, math.inf, "open"),
    ],
)
def test_a_whole_interval_decides(low: float, high: float, expected: Outcome) -> None:
    assert decide(estimate(3.0, low, high), 2.0)[0] == expected


def test_what_is_kept_open_says_why() -> None:
    above, below, none = estimate(3, 2.5, 3.5), estimate(1, 0.5, 1.5), point(3.0, 1, "none: one seed")
    assert decide(above, 2.0, no_support="short") == ("open", "short")
    assert decide(above, 2.0, no_contradiction="short") == ("supported", "")
    assert decide(below, 2.0, no_support="short") == ("contradicted", "")
    assert decide(below, 2.0, no_contradiction="short") == ("open", "short")
    assert decide(estimate(2, 1, 3), 2.0, no_contradiction="short") == ("open", BOTH_SIDES)
    assert decide(none, 2.0) == ("open", "one seed")
    assert decide(none, 2.0, no_support="not run") == ("open", "not run")


@pytest.mark.parametrize("missed", [0, 1, 17, 60])
def test_the_interval_of_a_share_cuts_off_its_tails(missed: int) -> None:
    found = exact_share(1 - missed / N, N, 1)
    valid = N - missed
    # Clopper-Pearson: at each end the tail beyond what was seen has 2.5%.
    assert float(stats.binom.sf(valid - 1, N, found.low or 0.0)) == pytest.approx(0.025)
    if missed:
        assert float(stats.binom.cdf(valid, N, found.high or 0.0)) == pytest.approx(0.025)
    else:
        assert found.high == 1


def test_seeds_that_are_all_equal_are_pooled() -> None:
    assert evidence.share_over_seeds([1.0, 1.0], [400, 600]).low == exact_share(1.0, 1000, 2).low
    assert evidence.share_over_seeds([1.0], [400]).low is None
    apart = evidence.share_over_seeds([0.51, 0.5, 0.49], [10, 10, 10])
    half = stats.t.ppf(0.975, 2) * 0.01 / math.sqrt(3)
    assert (apart.low, apart.high) == pytest.approx((0.5 - half, 0.5 + half))


@pytest.mark.parametrize(("above", "below"), [((30, 500), (3, 1000)), ((5, 100), (0, 100)), ((0, 100), (7, 50))])
def test_the_ratio_of_two_poisson_counts_has_the_ends_of_its_conditional_binomial(
    above: tuple[int, int], below: tuple[int, int]
) -> None:
    low, high = evidence.poisson_ratio(Count(*above), Count(*below))
    total = above[0] + below[0]

    def share(ratio: float) -> float:
        """Chance that an event is of the numerator, if the rates have this ratio."""
        odds = ratio * above[1] / below[1]
        return odds / (1 + odds)

    if above[0]:
        assert float(stats.binom.sf(above[0] - 1, total, share(low))) == pytest.approx(0.025)
    else:
        assert low == 0
    if below[0]:
        assert float(stats.binom.cdf(above[0], total, share(high))) == pytest.approx(0.025)
    else:
        assert high == math.inf


def test_many_violations_give_the_ratio_of_geometric_means() -> None:
    above, below = [Count(500, N), Count(420, N)], [Count(25, N), Count(31, 2 * N)]
    found, expected = count_ratio(above, below), ratio_interval([0.5, 0.42], [0.025, 0.0155])
    assert (found.mean, found.low, found.high) == (expected.mean, expected.low, expected.high)


def test_counts_of_nothing_or_of_one_seed_have_no_interval_and_none_on_one_side_a_one_sided_one() -> None:
    nothing = [Count(0, N), Count(0, N)]
    assert count_ratio(nothing, nothing) == Estimate(None, None, None, 2, evidence.NO_EVENTS)
    assert count_ratio([], nothing).mean is None
    one = count_ratio([Count(9, N)], [Count(0, N)])
    assert (one.mean, one.low) == (math.inf, None)
    found = count_ratio([Count(900, N), Count(905, N)], nothing)
    assert (found.mean, found.high) == (math.inf, math.inf)
    assert found.low is not None
    # As the rule of three: up to 3.7 violations would be no surprise.
    assert 10 < found.low <= 900 / -math.log(0.025)


@settings(deadline=None)
@given(counts, counts)
def test_the_interval_of_few_counts_holds_the_ratio_and_inverts(above: list[Count], below: list[Count]) -> None:
    found, inverse = count_ratio(above, below), count_ratio(below, above)
    if found.low is None or found.high is None or found.mean is None:
        assert inverse.low is None
        return
    assert found.low <= found.mean <= found.high
    few = min(count.missed for count in (*above, *below)) < evidence.MANY
    if few and found.low > 0:
        assert inverse.high == pytest.approx(1 / found.low)


def test_seeds_of_one_side_that_are_all_equal_are_no_reason_to_warn(recwarn: pytest.WarningsRecorder) -> None:
    assert count_ratio([Count(N, N)] * 3, [Count(20, N), Count(25, N), Count(22, N)]).low is not None
    assert not recwarn.list


def test_quotients_of_intervals_are_not_too_narrow() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        a, b = rng.normal(50, 2), rng.normal(5, 0.4)
        found = quotient(estimate(a, a - 1.96 * 2, a + 1.96 * 2), estimate(b, b - 1.96 * 0.4, b + 1.96 * 0.4))
        held += found.low is not None and found.high is not None and found.low <= 10 <= found.high
    assert held >= 950
    known, single = estimate(4, 3, 5), quotient(estimate(4, 3, 5), point(2.0, 1))
    assert quotient(known, point(None, 0)).mean is None
    assert quotient(known, estimate(0, 0, 1)).mean is None
    assert (single.mean, single.low) == (2.0, None)
    assert quotient(known, estimate(1, 0, 2)).high == math.inf
