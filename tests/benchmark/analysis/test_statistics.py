"""Statistics against closed forms, another implementation and simulation."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rliable import metrics
from scipy import stats

from benchmark.analysis import aggregate, statistics
from benchmark.analysis.aggregate import interquartile_mean, interquartile_mean_of_other_tasks
from benchmark.analysis.statistics import DIFFERENCE, Estimate, difference_interval, mean_interval, ratio_interval

values = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=2, max_size=8)
tables = st.lists(st.lists(st.floats(-2, 2).map(lambda x: round(x, 3)), min_size=2, max_size=4), min_size=1, max_size=4)


def ends(found: Estimate) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


# --- means, ratios and differences ------------------------------------------------------------------------------------


def test_means_agree_with_the_closed_form_of_two_seeds_and_the_table_of_t() -> None:
    # With one degree of freedom t is a Cauchy variable, whose 97.5% quantile is tan(0.475 pi).
    half = math.tan(0.475 * math.pi)
    found = mean_interval([1.0, 3.0])
    assert (found.mean, found.n, found.method) == (2.0, 2, statistics.STUDENT)
    assert ends(found) == pytest.approx((2 - half, 2 + half))
    half_of_five = 2.7764451052 * math.sqrt(2.5 / 5)
    assert ends(mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])) == pytest.approx((3 - half_of_five, 3 + half_of_five))
    # Cut at what is possible.
    assert ends(mean_interval([0.001, 0.003], (0.0, 1.0))) == pytest.approx((0.0, 0.002 + 0.001 * half))


def test_no_interval_where_the_data_supports_none() -> None:
    assert mean_interval([]) == ratio_interval([], [1.0]) == statistics.point(None, 0)
    for sample, method in (([4.0], statistics.ONE_SEED), ([0.3] * 3, statistics.ALL_EQUAL)):
        assert mean_interval(sample) == Estimate(sample[0], None, None, len(sample), method)
        assert ratio_interval(sample, sample) == Estimate(1.0, None, None, len(sample), method)
    for value in (math.nan, math.inf):
        found = mean_interval([1.0, value])
        assert found.mean == pytest.approx(value, nan_ok=True)
        assert (found.low, found.high, found.n, found.method) == (None, None, 2, statistics.NOT_FINITE)


def test_ratio_of_two_seeds_agrees_with_the_closed_form() -> None:
    found = ratio_interval([2.0, 4.0], [1.0, 2.0])
    # Both samples have the same spread of logarithms, so Welch's degrees of freedom are 2, and their t is algebraic.
    error = math.sqrt(2 * (math.log(2) / 2) ** 2)
    quantile = (2 * 0.975 - 1) / math.sqrt(2 * 0.975 * (1 - 0.975))
    assert (found.mean, found.method) == (pytest.approx(2.0), statistics.WELCH)
    assert ends(found) == pytest.approx((2 * math.exp(-quantile * error), 2 * math.exp(quantile * error)))
    with pytest.raises(ValueError, match="positive"):
        ratio_interval([0.0, 1.0], [1.0, 2.0])


def test_a_difference_agrees_with_welchs_formula() -> None:
    # Means 3 and 5, variances 1 and 4 of 3 and 3: standard error sqrt(5/3), 50/17 degrees of freedom.
    found = difference_interval([3.0, 5.0, 7.0], [2.0, 3.0, 4.0])
    assert (found.mean, found.method) == (2.0, DIFFERENCE)
    assert ends(found) == pytest.approx((2 - 4.1535, 2 + 4.1535), abs=2e-3)


def test_a_difference_of_shares_stays_among_the_possible_ones() -> None:
    sides = [0.9, 1.0, 1.0], [0.0, 0.1, 0.0]
    free, clipped = difference_interval(*sides), difference_interval(*sides, (-1, 1))
    assert free.high is not None
    assert free.high > 1
    assert (clipped.low, clipped.high) == (free.low, 1)


@given(values, values)
def test_a_difference_lies_in_its_interval_and_turns_its_sign(first: list[float], second: list[float]) -> None:
    there, back = difference_interval(second, first), difference_interval(first, second)
    assert there.mean == pytest.approx(np.mean(second) - np.mean(first), abs=1e-6)
    if there.low is not None and there.high is not None:
        assert there.low <= (there.mean or 0) <= there.high
        assert (there.low, there.high) == pytest.approx((-ends(back)[1], -ends(back)[0]), abs=1e-6)


def test_intervals_cover_as_often_as_they_say() -> None:
    draws = stats.norm(3.0, 2.0).rvs(size=(1000, 3), random_state=0)
    found = [ends(mean_interval(row.tolist())) for row in draws]
    assert 930 <= sum(low <= 3.0 <= high for low, high in found) <= 970


# --- over tasks -------------------------------------------------------------------------------------------------------


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def square(seed: int, tasks: int = 6, seeds: int = 8) -> list[list[float]]:
    return rng(seed).normal(np.linspace(0, 1, tasks)[:, None], 0.3, (tasks, seeds)).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_means_and_probabilities_agree_with_rliable_and_profiles_with_counting(seed: int) -> None:
    ours, theirs = square(seed), np.round(square(seed + 50), 1).tolist()
    scores = np.asarray(ours).T
    assert interquartile_mean(ours, rng()).mean == pytest.approx(float(metrics.aggregate_iqm(scores)))
    better = metrics.probability_of_improvement(scores, np.asarray(theirs).T)
    assert aggregate.probability_of_improvement(ours, theirs, rng()).mean == pytest.approx(float(better))
    for threshold, share in aggregate.performance_profile(ours, (0.0, 0.5, 1.0), rng()):
        assert share.mean == pytest.approx(float((np.asarray(ours) > threshold).mean()))


# Nominally 95%. Two standard errors of 200 repetitions are 3%.
@pytest.mark.parametrize(("tasks", "seeds", "least"), [(1, 3, 0.88), (3, 3, 0.88), (6, 3, 0.91), (6, 10, 0.92)])
def test_interquartile_mean_is_covered(tasks: int, seeds: int, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "RESAMPLES", 999)
    centres, draw = np.linspace(0, 1, tasks), rng(1)
    truth = float(metrics.aggregate_iqm(draw.normal(centres, 0.2, (100_000, tasks))))
    found = [ends(interquartile_mean([draw.normal(c, 0.2, seeds).tolist() for c in centres], draw)) for _ in range(200)]
    assert least <= np.mean([low <= truth <= high for low, high in found]) <= 0.99


def test_mean_of_shares_is_covered_over_seeds_and_not_over_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    # Seeds differ by far more than the steps of one would suggest.
    monkeypatch.setattr(aggregate, "RESAMPLES", 999)
    draw = rng(2)
    found = [
        ends(aggregate.mean_of_tasks([draw.beta(8, 2, 3).tolist() for _ in range(3)], draw, (0, 1))) for _ in range(200)
    ]
    assert 0.88 <= np.mean([low <= 0.8 <= high for low, high in found]) <= 0.99


def test_a_task_without_spread_leaves_the_uncertainty_to_the_other() -> None:
    alone = ends(aggregate.mean_of_tasks([[0.0, 1.0, 2.0]], rng(3)))
    beside = ends(aggregate.mean_of_tasks([[0.0, 1.0, 2.0], [5.0, 5.0, 5.0]], rng(3)))
    assert beside[1] - beside[0] == pytest.approx((alone[1] - alone[0]) / 2, rel=0.02)


@settings(max_examples=15, deadline=None)
@given(tables, st.floats(0.5, 3), st.floats(-2, 2))
def test_another_scale_moves_the_mean_and_interval_alike(table: list[list[float]], factor: float, shift: float) -> None:
    before = interquartile_mean(table, rng())
    after = interquartile_mean([[factor * value + shift for value in task] for task in table], rng())
    assert after.mean == pytest.approx(factor * (before.mean or 0) + shift, abs=1e-9)
    if before.low is not None and before.high is not None and after.low is not None:
        # Rounding may order equal tasks otherwise, which draws other resamples: as near as those are.
        width = factor * (before.high - before.low)
        assert after.low == pytest.approx(factor * before.low + shift, abs=0.2 * width + 1e-9)


def test_no_interval_over_tasks_where_the_data_supports_none() -> None:
    for found in (interquartile_mean([], rng()), interquartile_mean_of_other_tasks([], rng())):
        assert (found.mean, found.n) == (None, 0)
    one_seed = interquartile_mean([[1.0], [2.0, 3.0]], rng())
    assert one_seed == Estimate(2.0, None, None, 3, aggregate.ONE_SEED_OF_A_TASK)
    assert interquartile_mean([[0.5, 0.5], [1.0, 1.0]], rng()).low is None
    assert interquartile_mean([[0.0, 1.0, 0.5]], rng()).low is not None
    assert interquartile_mean_of_other_tasks([[0.0, 1.0, 0.5]], rng()).method == aggregate.FEW_TASKS


@pytest.mark.parametrize(
    ("estimate", "table"),
    [
        (interquartile_mean_of_other_tasks, [[1.0, 1.0]] * 3),
        # Tasks that differ in nothing, and runs that only differ where the middle half leaves them out.
        (interquartile_mean_of_other_tasks, [[0.0, 1.0]] * 3),
        (interquartile_mean_of_other_tasks, [[1.0, 1.0]] * 30 + [[9.0, 9.0]]),
        (interquartile_mean, [[1.0, 1.0]] * 3 + [[1.0, 2.0]]),
    ],
)
def test_no_interval_over_tasks_of_width_zero(estimate: Callable[..., Estimate], table: list[list[float]]) -> None:
    found = estimate(table, rng())
    assert (found.low, found.high, found.method) == (None, None, aggregate.NO_SPREAD)
    assert found.mean in (0.5, 1.0)


def test_probabilities_of_improvement_at_their_ends() -> None:
    assert aggregate.probability_of_improvement([], [], rng()).mean is None
    assert aggregate.probability_of_improvement([[1.0]], [[0.0]], rng()).method == aggregate.ONE_SEED_OF_A_TASK
    assert aggregate.probability_of_improvement([[2.0, 3.0]], [[0.0, 1.0]], rng()).method == aggregate.ONE_SIDED
    # As often better as worse.
    found = aggregate.probability_of_improvement([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]], rng())
    low, high = ends(found)
    assert found.mean == 0.5
    assert low < 0.4 < 0.6 < high
    with pytest.raises(ValueError, match="argument 2"):
        aggregate.probability_of_improvement(square(1), square(1)[:2], rng())
