from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rliable import metrics

from benchmark.analysis import aggregate
from benchmark.analysis.aggregate import (
    interquartile_mean,
    interquartile_mean_of_other_tasks,
    mean_of_tasks,
    performance_profile,
    probability_of_improvement,
)

score = st.floats(-2, 2).map(lambda x: round(x, 3))
tables = st.lists(st.lists(score, min_size=2, max_size=4), min_size=1, max_size=4)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def square(seed: int, tasks: int = 6, seeds: int = 8) -> list[list[float]]:
    return rng(seed).normal(np.linspace(0, 1, tasks)[:, None], 0.3, (tasks, seeds)).tolist()


@pytest.mark.parametrize("seed", range(4))
def test_interquartile_mean_agrees_with_rliable(seed: int) -> None:
    table = square(seed)
    found = interquartile_mean(table, rng()).mean
    assert found == pytest.approx(float(metrics.aggregate_iqm(np.asarray(table).T)))


@pytest.mark.parametrize("seed", range(4))
def test_probability_of_improvement_agrees_with_rliable(seed: int) -> None:
    ours, theirs = square(seed), np.round(square(seed + 50), 1).tolist()
    found = probability_of_improvement(ours, theirs, rng()).mean
    assert found == pytest.approx(float(metrics.probability_of_improvement(np.asarray(ours).T, np.asarray(theirs).T)))


def test_profile_agrees_with_counting() -> None:
    table = square(3)
    for threshold, share in performance_profile(table, (0.0, 0.5, 1.0), rng()):
        assert share.mean == pytest.approx(float((np.asarray(table) > threshold).mean()))


# Nominally 95%. Two standard errors of 200 repetitions are 3%.
@pytest.mark.parametrize(("tasks", "seeds", "least"), [(1, 3, 0.88), (3, 3, 0.88), (6, 3, 0.91), (6, 10, 0.92)])
def test_interquartile_mean_is_covered(tasks: int, seeds: int, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "RESAMPLES", 999)
    centres, draw, hits = np.linspace(0, 1, tasks), rng(1), 0
    truth = float(metrics.aggregate_iqm(draw.normal(centres, 0.2, (100_000, tasks))))
    for _ in range(200):
        found = interquartile_mean([draw.normal(c, 0.2, seeds).tolist() for c in centres], draw)
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= truth <= found.high
    assert least <= hits / 200 <= 0.99


def test_mean_of_shares_is_covered_over_seeds_and_not_over_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    # Seeds differ by far more than the steps of one would suggest.
    monkeypatch.setattr(aggregate, "RESAMPLES", 999)
    draw, hits = rng(2), 0
    for _ in range(200):
        found = mean_of_tasks([draw.beta(8, 2, 3).tolist() for _ in range(3)], draw, (0, 1))
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.8 <= found.high
    assert hits / 200 >= 0.88


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


def test_one_seed_has_no_interval() -> None:
    found = interquartile_mean([[1.0], [2.0, 3.0]], rng())
    assert (found.mean, found.low, found.n, found.method) == (2.0, None, 3, aggregate.ONE_SEED_OF_A_TASK)
    assert probability_of_improvement([[1.0]], [[0.0]], rng()).method == aggregate.ONE_SEED_OF_A_TASK


def test_one_task_has_an_interval_over_seeds_and_none_over_tasks() -> None:
    assert interquartile_mean([[0.0, 1.0, 0.5]], rng()).low is not None
    assert interquartile_mean_of_other_tasks([[0.0, 1.0, 0.5]], rng()).method == aggregate.FEW_TASKS


def test_nothing_gives_nothing() -> None:
    for found in (interquartile_mean([], rng()), interquartile_mean_of_other_tasks([], rng())):
        assert (found.mean, found.n) == (None, 0)
    assert probability_of_improvement([], [], rng()).mean is None


def test_equal_seeds_give_no_interval_of_width_zero() -> None:
    assert interquartile_mean([[0.5, 0.5], [1.0, 1.0]], rng()).low is None
    assert probability_of_improvement([[2.0, 3.0]], [[0.0, 1.0]], rng()).method == aggregate.ONE_SIDED
    assert probability_of_improvement([[2.0, 2.0]], [[2.0, 2.0]], rng()).method == aggregate.ONE_SIDED


def test_seeds_that_win_as_often_as_they_lose_have_an_interval() -> None:
    found = probability_of_improvement([[0.0, 1.0, 2.0]], [[0.0, 1.0, 2.0]], rng())
    assert found.mean == 0.5
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.4 < 0.6 < found.high


def test_probability_of_improvement_is_one_half_against_itself_and_needs_the_same_tasks() -> None:
    table = square(1)
    assert probability_of_improvement(table, table, rng()).mean == pytest.approx(0.5)
    with pytest.raises(ValueError, match="argument 2"):
        probability_of_improvement(table, table[:2], rng())
