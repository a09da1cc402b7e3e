"""The searches behind quadratic constraints: against SciPy's root finder, and each route against the others."""

import array_api_compat.numpy as numpy_namespace
import numpy as np
import pytest
import torch
from scipy import optimize

from envs.constraints import Intersection, SineSquares, WeightedL1
from envs.constraints.multipliers import Problem, _both, _search, find_multipliers, nearest
from envs.constraints.multipliers_row import nearest_row
from envs.constraints.secular import bracketed_root, rising_root

EPS = float(np.finfo(np.float64).eps)
BUDGET, SQUARE = 10.0, 0.1


def problems(rows: int, n: int, seed: int, scale: float) -> Problem:
    """Random ones with actions of this size, weights and curvatures of many magnitudes, some of them 0."""
    rng = np.random.default_rng(seed)
    size = np.abs(rng.normal(size=(rows, n))) * scale
    weight = np.abs(rng.normal(size=(rows, n))) * 10 ** rng.uniform(-1, 2, size=(rows, 1))
    curvature = np.sin(rng.normal(size=(rows, n)) * 10) ** 2
    weight[rng.random((rows, n)) < 0.1] = 0
    curvature[rng.random((rows, n)) < 0.1] = 0
    return Problem(size, weight, curvature, rng.uniform(0.2, 2, size=(rows, n)), BUDGET, SQUARE)


def alone(problem: Problem) -> np.ndarray:
    n = problem.size.shape[1]
    c = SineSquares(SQUARE, -np.ones(n), np.ones(n), range(n))
    return c.multiplier(numpy_namespace, problem.size, problem.curvature, problem.room)


def check(problem: Problem, t: np.ndarray, m: np.ndarray, digits: float) -> None:
    """The optimality conditions: multipliers not negative, sums within bounds, and at them where a multiplier acts."""
    x = nearest(numpy_namespace, problem, t, m)
    over = ((problem.weight * x).sum(axis=1, keepdims=True) - BUDGET) / BUDGET
    above = ((problem.curvature * x * x).sum(axis=1, keepdims=True) - SQUARE) / SQUARE
    assert (t >= 0).all()
    assert (m >= 0).all()
    assert (np.maximum(over, above) <= digits).all()
    assert (np.abs(over[t > 0]) <= digits).all()
    assert (np.abs(above[m > 0]) <= digits).all()


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("scale", [0.3, 1.0, 10.0, 1e4])
def test_multipliers_are_optimal(n: int, scale: float) -> None:
    problem = problems(2000, n, seed=n, scale=scale)
    t, m = find_multipliers(numpy_namespace, problem, alone(problem), EPS)
    check(problem, t, m, 1e-12 * max(1.0, scale))
    assert 0 < ((t > 0) & (m > 0)).mean() < 1


@pytest.mark.parametrize("scale", [1.0, 10.0, 1e4])
def test_newton_and_the_certain_search_agree(scale: float) -> None:
    problem = problems(1000, 6, seed=1, scale=scale)
    most_m = alone(problem)
    t, m = find_multipliers(numpy_namespace, problem, most_m, EPS)
    both = ((t > 0) & (m > 0))[:, 0]
    assert both.sum() > 100
    rows = problem.rows(both)
    searched = _search(numpy_namespace, rows, most_m[both], EPS)
    check(rows, *searched, 1e-12 * max(1.0, scale))
    expected = nearest(numpy_namespace, rows, t[both], m[both])
    np.testing.assert_allclose(nearest(numpy_namespace, rows, *searched), expected, atol=1e-11 * max(1.0, scale))
    # From ranges far too wide Newton's method often fails, and the search has to step in.
    wide = _both(numpy_namespace, rows, 1e6 * t[both], most_m[both], EPS)
    np.testing.assert_allclose(nearest(numpy_namespace, rows, *wide), expected, atol=1e-11 * max(1.0, scale))


@pytest.mark.parametrize("n", [1, 3, 6])
@pytest.mark.parametrize("scale", [0.3, 1.0, 10.0])
def test_rows_in_plain_numbers_agree(n: int, scale: float) -> None:
    problem = problems(1000, n, seed=2, scale=scale)
    t, m = find_multipliers(numpy_namespace, problem, alone(problem), EPS)
    expected = nearest(numpy_namespace, problem, t, m)
    answered = 0
    for i in range(1000):
        items = [tuple(float(a[i, j]) for a in problem[:4]) for j in range(n)]
        found = nearest_row(items, BUDGET, SQUARE, EPS)
        if found is not None:
            answered += 1
            np.testing.assert_allclose(found, expected[i], rtol=0, atol=1e-12)
    assert answered > (900 if scale <= 1 else 800)


@pytest.mark.parametrize("target", [1e-6, 0.1, 0.9])
def test_roots_are_scipys(target: float) -> None:
    rng = np.random.default_rng(0)
    c, q = 10 ** rng.uniform(-2, 2, size=(50, 4)), 10 ** rng.uniform(-3, 1, size=(50, 4))

    def value(m: float, i: int) -> float:
        return float((c[i] / (1 + m * q[i]) ** 2).sum())

    def evaluate(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        each = c / (1 + m * q) ** 2
        return each.sum(axis=1, keepdims=True), (2 * each * q / (1 + m * q)).sum(axis=1, keepdims=True)

    high = np.full((50, 1), 1e9)
    expected = [
        optimize.brentq(lambda m, i=i: value(m, i) - target, 0, 1e9, xtol=1e-300, rtol=1e-15) for i in range(50)
    ]
    rising = rising_root(numpy_namespace, evaluate, np.zeros((50, 1)), target, EPS)
    bracketed = bracketed_root(numpy_namespace, evaluate, high, target, EPS)
    np.testing.assert_allclose(rising[:, 0], expected, rtol=1e-11)
    np.testing.assert_allclose(bracketed[:, 0], expected, rtol=1e-11)


def test_a_root_behind_a_plateau_is_found() -> None:
    """No slope, or one that misleads: then halving the bracket finds the root."""

    def evaluate(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value = np.where(m < 3, 2.0, np.where(m < 3 + 1e-6, 1.0, 0.0))
        return value, np.where(m < 1, 0.0, 1e-9)

    found = bracketed_root(numpy_namespace, evaluate, np.full((3, 1), [[10.0], [1e9], [3.5]]), 1.0, EPS)
    assert ((found >= 3) & (found < 3 + 1e-6)).all()


@pytest.mark.parametrize("rows", [1, 600])
def test_a_zero_of_either_sign_stays_in_a_box_that_begins_there(rows: int) -> None:
    """Far actions under bounds near the rounding of float32, where the last Newton step leads below 0."""
    box = [-2.0, 0.0, -0.1, -1.0, -1.0, -0.3], [0.5, 1.0, 3.0, 0.0, 0.2, 1.0]
    c = Intersection(WeightedL1(1e-8, *box, range(6)), SineSquares(1e-8, *box, range(6, 12)))
    action = torch.tensor([[-2.7917494982432345e-09, -0.0, -6662.0625, 0.001737401937134564, 0.0, -8481064.0]])
    obs = [0.0, -9.428903579711914, 0.5526131987571716, 4.702325820922852, -5.238062381744385, -4.18901252746582]
    obs += [-5.693029880523682, 0.8491004705429077, 11.825533866882324, 3.6311068534851074, -7.279339790344238]
    states = torch.tensor([[*obs, 2.9389243125915527]]).repeat(rows, 1)
    assert c.contains(c.project(action.repeat(rows, 1), states), states).all()
