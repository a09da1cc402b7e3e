"""PSDD: counts and draws against enumeration."""

import itertools
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from envs import make_task
from envs.constraints import Allocation
from envs.errors import UserError
from envs.sampling.psdd import PSDD, compile_allocation, compile_linear
from tests.envs.sampling.two_sample import generator

DRAWS = 200_000
LEAST_PVALUE = 0.01
HOLDS = {"=": np.equal, "<=": np.less_equal, ">=": np.greater_equal}


def enumerate_points(upper: list[int]) -> np.ndarray:
    return np.array(list(itertools.product(*(range(most + 1) for most in upper))))


def brute_force(coefficients: list[list[int]], senses: list[str], bounds: list[int], upper: list[int]) -> np.ndarray:
    """All points with ``0 <= a <= upper`` that satisfy the constraints: (M, n), in lexicographic order."""
    points = enumerate_points(upper)
    rows = zip(coefficients, senses, bounds, strict=True)
    return points[np.logical_and.reduce([HOLDS[sense](points @ row, bound) for row, sense, bound in rows])]


def uniform_pvalue(psdd: PSDD, points: np.ndarray, draws: int = DRAWS, seed: int = 0) -> float:
    """Chi-square of draws against the uniform distribution on ``points``, after checking that they are among them."""
    found, counts = np.unique(psdd.sample(draws, generator(seed)).numpy(), axis=0, return_counts=True)
    known = {tuple(point) for point in points.tolist()}
    assert {tuple(point) for point in found.tolist()} <= known
    return float(stats.chisquare(np.concatenate([counts, np.zeros(len(points) - len(found))])).pvalue)


# --- bike sharing -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["BSS-3", "BSS-5"])
def bikes(request: pytest.FixtureRequest) -> tuple[Allocation, PSDD]:
    constraint = make_task(request.param).constraint
    return constraint, compile_allocation(constraint)


def allocations(constraint: Allocation) -> np.ndarray:
    most = [int(u) for u in constraint.upper]
    first = enumerate_points(most[:-1])
    last = int(constraint.total) - first.sum(axis=1)
    fits = (last >= 0) & (last <= most[-1])
    return np.column_stack([first, last])[fits]


def test_draws_are_uniform_over_the_enumeration(bikes) -> None:
    constraint, psdd = bikes
    points = allocations(constraint)
    assert psdd.models == len(points) == {3: 136, 5: 23_751}[constraint.dim]
    assert uniform_pvalue(psdd, points) > LEAST_PVALUE
    assert torch.equal(psdd.sample(500, generator(5)), compile_allocation(constraint).sample(500, generator(5)))


def test_lower_limits_shift_the_points() -> None:
    constraint = Allocation(4, [-2.0, 1.0, 0.0], [1.0, 3.0, 4.0])
    psdd = compile_allocation(constraint)
    points = np.array([p for p in itertools.product(range(-2, 2), range(1, 4), range(5)) if sum(p) == 4])
    assert psdd.models == len(points)
    assert uniform_pvalue(psdd, points, 20_000) > LEAST_PVALUE


# --- general linear constraints ---------------------------------------------------------------------------------------

small = st.integers(-3, 3)


@st.composite
def systems(draw: st.DrawFn) -> tuple[list[list[int]], list[str], list[int], list[int]]:
    upper = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    count = draw(st.integers(1, 3))
    coefficients = [draw(st.lists(small, min_size=len(upper), max_size=len(upper))) for _ in range(count)]
    senses = draw(st.lists(st.sampled_from(["=", "<=", ">="]), min_size=count, max_size=count))
    bounds = draw(st.lists(st.integers(-8, 12), min_size=count, max_size=count))
    return coefficients, senses, bounds, upper


@given(system=systems())
@settings(max_examples=100, deadline=None)
def test_any_system_against_brute_force(system) -> None:
    points = brute_force(*system)
    if not len(points):
        with pytest.raises(UserError, match="no integer point satisfies"):
            compile_linear(*system)
        return
    psdd = compile_linear(*system)
    assert psdd.models == len(points)
    drawn = {tuple(point) for point in psdd.sample(40 * len(points), generator()).tolist()}
    known = {tuple(point) for point in points.tolist()}
    # Each point is missed with a chance of exp(-40).
    assert drawn == known


def test_three_constraints_together_are_uniform() -> None:
    system = [[1, 2, -1, 0], [1, 1, 1, 1], [0, -1, 0, 2]], ["<=", "=", ">="], [7, 12, -1], [5, 6, 7, 4]
    points = brute_force(*system)
    assert uniform_pvalue(compile_linear(*system), points) > LEAST_PVALUE


def test_variables_that_the_diagram_leaves_out_are_free() -> None:
    """Every bit free: nothing is left of the diagram, and all 64 points count."""
    psdd = compile_linear([1, 1], "<=", 100, [7, 7])
    assert (psdd.models, psdd.nodes) == (64, 0)
    assert uniform_pvalue(psdd, enumerate_points([7, 7]), 50_000) > LEAST_PVALUE


def test_counts_beyond_machine_numbers() -> None:
    psdd = compile_linear([1] * 20, "<=", 20 * 255, [255] * 20)
    assert psdd.models == 256**20
    tight = compile_linear([1] * 14, "=", 7, [63] * 14)
    assert tight.models == 77_520
    assert (tight.sample(1000, generator()).sum(dim=1) == 7).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 1], "==", 3, [3, 3]), "unknown sense"),
        (([1, 0.5], "=", 3, [3, 3]), "coefficients must be whole"),
        (([1, 1], "=", 3, [3, -1]), "upper limit is negative"),
        (([1, 1, 1], "=", 3, [3, 3]), "give one for each"),
        (([[1, 1], [1, 2]], "=", 3, [3, 3]), "give the same number of each"),
        (([[1, 1], [1]], ["=", "="], [3, 3], [3, 3]), "rows of equal length"),
        (([1, 1], "=", 7, [3, 3]), "no integer point"),
        (([1, 1009] * 3, "<=", 4_000_000, [3000] * 6), "divide coefficients and bound"),
    ],
)
def test_bad_input(arguments, message: str) -> None:
    with pytest.raises(UserError, match=message):
        compile_linear(*arguments)


@pytest.mark.parametrize(
    "system",
    [
        ([1, 1, 1], "=", 10**6, [10**6] * 3),
        ([1, 1, 1], "<=", 10**6, [10**6] * 3),
        ([0, 1], ">=", 0, [1, 10**9]),
        ([[1, 1], [10**30, 1]], ["=", "<="], [5, 10**30], [5, 10**9]),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_built(system) -> None:
    tracemalloc.start()
    with pytest.raises(UserError, match="over 2,000,000 pairs"):
        compile_linear(*system)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1e6


def test_an_allocation_in_parts() -> None:
    with pytest.raises(UserError, match="total must be whole"):
        compile_allocation(Allocation(2.5, [0.0, 0.0], [3.0, 3.0]))
    with pytest.raises(UserError, match="upper limits must be whole"):
        compile_allocation(Allocation(2.0, [0.0, 0.0], [3.5, 3.0]))
