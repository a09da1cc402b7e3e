"""Integer allocations against full enumeration, and the plane that allocations lie in."""

import itertools

import numpy as np
import pytest
import torch

from envs.constraints import Allocation
from envs.errors import UserError
from tests.envs.constraints.conftest import no_obs

BSS3 = Allocation(90, np.zeros(3), np.full(3, 35.0))
BSS5 = Allocation(150, np.zeros(5), np.full(5, 35.0))


@pytest.fixture(scope="module", params=[(BSS3, 136, 2000), (BSS5, 23_751, 200)], ids=["BSS-3", "BSS-5"])
def enumerated(request) -> tuple[Allocation, torch.Tensor, int]:
    """A constraint, all its integer points, and how many actions to try."""
    constraint, count, rows = request.param
    heads = itertools.product(range(36), repeat=constraint.dim - 1)
    total = int(constraint.total)
    every = [(*head, total - sum(head)) for head in heads if 0 <= total - sum(head) <= 35]
    assert len(every) == count
    return constraint, torch.tensor(every, dtype=torch.float64), rows


@pytest.mark.parametrize("scale", [0.3, 30.0])
@pytest.mark.parametrize("grid", [0.0, 0.5, 1 / 3], ids=["no-ties", "halves", "thirds"])
def test_project_integer_is_the_nearest_of_all(enumerated, generator, scale: float, grid: float) -> None:
    constraint, every, rows = enumerated
    wanted = torch.randn((rows, constraint.dim), generator=generator, dtype=torch.float64) * scale + 30
    if grid:
        wanted = (wanted / grid).round() * grid
    found = constraint.project_integer(wanted, no_obs(rows))
    assert torch.equal(found, found.round())
    assert constraint.contains(found, no_obs(rows)).all()
    nearest = torch.cdist(wanted, every, compute_mode="donot_use_mm_for_euclid_dist").min(dim=1).values
    assert torch.allclose((wanted - found).norm(dim=1), nearest, rtol=1e-12, atol=1e-12)


def test_integer_allocations_stay(enumerated) -> None:
    constraint, every, _ = enumerated
    assert torch.equal(constraint.repair(every, no_obs(len(every))), every)
    assert torch.equal(constraint.repair(every.float(), no_obs(len(every))), every.float())
    assert torch.equal(constraint.project(every, no_obs(len(every))), every)


def test_ties_fall_to_the_first_coordinates_at_every_batch_size() -> None:
    # A shift along (1, 1, 1) changes neither distances nor ties; 1/3 adds rounding of its own.
    shift = torch.tensor([0.0, 0.0, 1 / 3, -40 / 3], dtype=torch.float64)[:, None].repeat(25, 1)
    wanted = torch.tensor([[30.5, 30.5, 29.0]], dtype=torch.float64)
    expected = torch.tensor([[31.0, 30.0, 29.0]], dtype=torch.float64)
    assert torch.equal(BSS3.project_integer(wanted, no_obs(1)), expected)
    assert torch.equal(BSS3.project_integer(wanted + shift, no_obs(100)), expected.expand(100, -1))


def test_integer_allocations_need_whole_limits() -> None:
    constraint = Allocation(2.5, [0.0, 0.0], [2.0, 2.0])
    action = torch.tensor([[3.0, 0.0]], dtype=torch.float64)
    with pytest.raises(UserError, match="whole total"):
        constraint.project_integer(action, no_obs(1))
    assert torch.equal(constraint.repair(action, no_obs(1)), constraint.project(action, no_obs(1)))


def test_the_plane() -> None:
    assert [end.tolist() for end in BSS3.free_box] == [[20.0, 20.0], [35.0, 35.0]]
    action = BSS3.from_free(torch.tensor([[20.5, 34.25]]))
    assert action.dtype == torch.float64
    assert action.tolist() == [[20.5, 34.25, 35.25]]


def test_only_rounding_of_the_equality_is_forgiven() -> None:
    action = torch.tensor([[30.0, 30.0, 30.0], [30.0, 30.0, 30.0 + 1e-12]], dtype=torch.float64)
    violation = BSS3.violation(action, no_obs(2))[:, 0]
    assert violation[0].item() == -3 * 90 * np.finfo(np.float64).eps
    assert BSS3.contains(action, no_obs(2)).tolist() == [True, False]


@pytest.mark.parametrize("rows", [1, 10, 100])
def test_a_total_that_leaves_every_coordinate_at_an_end(rows: int) -> None:
    """No coordinate is free there, and rounding decides whether the sum is the total; multipliers have either sign."""
    rng = np.random.default_rng(0)
    for shift in rng.choice([-5.3, 5.7], size=50):
        upper = rng.integers(1, 10, size=6) / 10
        corner = torch.tensor([*upper[:3], 0, 0, 0], dtype=torch.float64)
        constraint = Allocation(round(upper[:3].sum(), 1), np.zeros(6), upper)
        wanted = corner + torch.tensor([1, 1, 1, -1, -1, -1]) + shift
        found = constraint.project(wanted.expand(rows, -1), no_obs(rows))
        assert torch.allclose(found, corner.expand(rows, -1), rtol=0, atol=1e-12)


def test_support_points_stay_in_a_box_whose_lower_ends_are_not_0(generator) -> None:
    c = Allocation(0.5, [-0.2, -1.0, -0.5], [1.0, 0.3, 0.5])
    gradient = torch.randn((2000, 3), generator=generator, dtype=torch.float64)
    assert c.contains(c.linear_oracle(gradient, no_obs(2000)), no_obs(2000)).all()
