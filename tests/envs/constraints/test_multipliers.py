"""The searches behind intersections: optimality, and each route against the others."""

import array_api_compat.numpy as numpy_namespace
import numpy as np
import pytest
import torch

from envs.constraints import SineSquares
from envs.constraints.multipliers import Problem, _search, find_multipliers, nearest
from envs.constraints.multipliers_row import nearest_row
from envs.constraints.secular import bracketed_root
from envs.constraints.support import find_support
from tests.envs.constraints.conftest import l1_and_sines, uneven

EPS = float(np.finfo(np.float64).eps)
BUDGET, SQUARE = 10.0, 0.1


def problems(rows: int, n: int, scale: float) -> Problem:
    """Random ones with actions of this size, weights and curvatures of many magnitudes, some of them 0."""
    rng = np.random.default_rng(n)
    size = np.abs(rng.normal(size=(rows, n))) * scale
    weight = np.abs(rng.normal(size=(rows, n))) * 10 ** rng.uniform(-1, 2, size=(rows, 1))
    curvature = np.sin(rng.normal(size=(rows, n)) * 10) ** 2
    weight[rng.random((rows, n)) < 0.1] = 0
    curvature[rng.random((rows, n)) < 0.1] = 0
    return Problem(size, weight, curvature, rng.uniform(0.2, 2, size=(rows, n)), BUDGET, SQUARE)


def check(problem: Problem, t: np.ndarray, m: np.ndarray, digits: float) -> None:
    """The optimality conditions: multipliers not negative, sums within bounds, and at them where a multiplier acts."""
    x = nearest(numpy_namespace, problem, t, m)
    over = ((problem.weight * x).sum(axis=1, keepdims=True) - BUDGET) / BUDGET
    above = ((problem.curvature * x * x).sum(axis=1, keepdims=True) - SQUARE) / SQUARE
    assert min(t.min(), m.min()) >= 0
    assert (np.maximum(over, above) <= digits).all()
    assert (np.abs(over[t > 0]) <= digits).all()
    assert (np.abs(above[m > 0]) <= digits).all()


@pytest.mark.parametrize("n", [1, 3, 6])
@pytest.mark.parametrize("scale", [0.3, 1.0, 10.0, 1e4])
def test_multipliers_are_optimal_by_every_route(n: int, scale: float) -> None:
    problem, digits = problems(1000, n, scale), 1e-12 * max(1.0, scale)
    quadratic = SineSquares(SQUARE, -np.ones(n), np.ones(n), range(n))
    alone = quadratic.multiplier(numpy_namespace, problem.size, problem.curvature, problem.room)
    t, m = find_multipliers(numpy_namespace, problem, alone, EPS)
    check(problem, t, m, digits)
    expected = nearest(numpy_namespace, problem, t, m)

    both = ((t > 0) & (m > 0))[:, 0]
    if both.any():
        rows = problem.rows(both)
        searched = _search(numpy_namespace, rows, alone[both], EPS)
        check(rows, *searched, digits)
        np.testing.assert_allclose(nearest(numpy_namespace, rows, *searched), expected[both], atol=10 * digits)

    answers = [nearest_row(list(zip(*row, strict=True)), BUDGET, SQUARE, EPS) for row in _rows(problem)]
    pairs = [(found, right) for found, right in zip(answers, expected, strict=True) if found is not None]
    assert len(pairs) > (800 if scale <= 10 else 0)
    for found, right in pairs:
        np.testing.assert_allclose(found, right, rtol=0, atol=digits)


def _rows(problem: Problem) -> list[tuple[list[float], ...]]:
    return list(zip(*(array.tolist() for array in problem[:4]), strict=True))


@pytest.mark.parametrize("n", [1, 3, 8])
def test_nearly_every_support_point_is_certain(n: int) -> None:
    problem = problems(5000, n, 1.0)
    largest = np.maximum(problem.size.max(axis=1, keepdims=True), 1e-3)
    problem = problem._replace(size=problem.size / largest)
    point, certain = find_support(problem)
    assert certain.mean() >= 0.999
    assert ((problem.weight * point).sum(axis=1) <= BUDGET * (1 + 1e-14)).all()
    assert ((problem.curvature * point**2).sum(axis=1) <= SQUARE * (1 + 1e-14)).all()
    assert ((point >= 0) & (point <= problem.room)).all()


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
    c = l1_and_sines((1e-8, 1e-8), uneven(6), range(6), range(6, 12))
    action = torch.tensor([[-2.7917494982432345e-09, -0.0, -6662.0625, 0.001737401937134564, 0.0, -8481064.0]])
    obs = [0.0, -9.428903579711914, 0.5526131987571716, 4.702325820922852, -5.238062381744385, -4.18901252746582]
    obs += [-5.693029880523682, 0.8491004705429077, 11.825533866882324, 3.6311068534851074, -7.279339790344238]
    states = torch.tensor([[*obs, 2.9389243125915527]]).repeat(rows, 1)
    assert c.contains(c.project(action.repeat(rows, 1), states), states).all()
