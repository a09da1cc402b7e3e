from __future__ import annotations

import math

import pytest
from hypothesis import strategies as st
from scipy import stats

from benchmark.analysis import statistics
from benchmark.analysis.statistics import mean_interval, ratio_interval

values = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=2, max_size=8)
times = st.lists(st.floats(0.1, 1e5), min_size=2, max_size=6)


def test_two_seeds_agree_with_the_closed_form() -> None:
    # With one degree of freedom t is a Cauchy variable, whose 97.5% quantile is tan(0.475 pi).
    found = mean_interval([1.0, 3.0])
    assert found.mean == 2.0
    assert found.low == pytest.approx(2 - math.tan(0.475 * math.pi))
    assert found.high == pytest.approx(2 + math.tan(0.475 * math.pi))
    assert (found.n, found.method) == (2, statistics.STUDENT)


def test_five_seeds_agree_with_the_table_of_t() -> None:
    found = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.7764451052 * math.sqrt(2.5 / 5)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))


@pytest.mark.parametrize(
    ("sample", "mean", "method"),
    [
        ([], None, statistics.NO_DATA),
        ([4.0], 4.0, statistics.ONE_SEED),
        ([0.3, 0.3, 0.3], 0.3, statistics.ALL_EQUAL),
    ],
)
def test_no_interval_where_the_data_supports_none(sample: list[float], mean: float | None, method: str) -> None:
    found = mean_interval(sample)
    assert (found.mean, found.low, found.high, found.n, found.method) == (mean, None, None, len(sample), method)


def test_interval_is_cut_at_what_is_possible() -> None:
    found = mean_interval([0.001, 0.003], (0.0, 1.0))
    assert found.low == 0.0
    assert found.high == pytest.approx(0.002 + 0.001 * math.tan(0.475 * math.pi))


def test_ratio_of_two_seeds_agrees_with_the_closed_form() -> None:
    a, b = [2.0, 4.0], [1.0, 2.0]
    found = ratio_interval(a, b)
    # Both samples have the same spread of logarithms, so Welch's degrees of freedom are 2, and their t is algebraic.
    error = math.sqrt(2 * (math.log(2) / 2) ** 2)
    quantile = (2 * 0.975 - 1) / math.sqrt(2 * 0.975 * (1 - 0.975))
    assert found.mean == pytest.approx(2.0)
    assert found.low == pytest.approx(2 * math.exp(-quantile * error))
    assert found.high == pytest.approx(2 * math.exp(quantile * error))


def test_ratio_without_data_or_spread_has_no_interval() -> None:
    assert ratio_interval([], [1.0]) == statistics.point(None, 0)
    assert ratio_interval([2.0], [1.0, 3.0]).method == statistics.ONE_SEED
    assert ratio_interval([2.0, 2.0], [1.0, 1.0]) == statistics.point(2.0, 2, statistics.ALL_EQUAL)


def test_ratio_of_something_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        ratio_interval([0.0, 1.0], [1.0, 2.0])


def test_intervals_cover_as_often_as_they_say() -> None:
    draws = stats.norm(3.0, 2.0).rvs(size=(1000, 3), random_state=0)
    found = [mean_interval(row.tolist()) for row in draws]
    covered = sum(e.low <= 3.0 <= e.high for e in found if e.low is not None and e.high is not None)
    assert 930 <= covered <= 970
