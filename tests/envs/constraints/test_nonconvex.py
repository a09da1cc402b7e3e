"""Ring and discs beyond what every family must satisfy: against a fine grid, and against closed forms."""

import numpy as np
import pytest
import torch
from torch import Tensor

from envs.constraints import Discs
from envs.constraints.nonconvex import NonConvex
from envs.errors import UserError
from tests.envs.constraints.conftest import NOT_CONVEX, no_obs

RING, DISCS, SHELL, BALLS = (case.constraint for case in NOT_CONVEX)
PLANAR = pytest.mark.parametrize("c", [RING, DISCS], ids=["R+Ring", "R+2D"])

STEP = 4e-3


def actions(c: NonConvex, rows: int, generator: torch.Generator) -> Tensor:
    scale = 10 ** (3 * torch.rand((rows, 1), generator=generator, dtype=torch.float64) - 2)
    return torch.randn((rows, c.dim), generator=generator, dtype=torch.float64) * scale


@PLANAR
def test_answers_are_the_best_of_all(c, generator) -> None:
    axis = torch.arange(-250, 251, dtype=torch.float64) * STEP
    grid = torch.cartesian_prod(axis, axis)
    grid = grid[c.contains(grid, no_obs(len(grid)))]
    action = torch.cat([actions(c, 200, generator), torch.rand((200, 2), generator=generator).double() * 2 - 1])
    found = c.project(action, no_obs(400))
    distance = (action - found).norm(dim=1)
    nearest = torch.cdist(action, grid, compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1)
    assert (distance <= nearest + 1e-12).all()
    assert (nearest <= distance + 2 * STEP).all()

    found = c.linear_oracle(action, no_obs(400))
    assert c.contains(found, no_obs(400)).all()
    value, best = (action * found).sum(dim=1), (action @ grid.T).amax(dim=1)
    assert (value >= best - 1e-12).all()
    assert (value <= best + 2 * STEP * action.norm(dim=1)).all()


def test_projections_in_closed_form(generator) -> None:
    for c in (RING, SHELL):
        action = actions(c, 1000, generator)
        length = action.norm(dim=1, keepdim=True)
        expected = action / length * length.clamp(c.inner_squared**0.5, c.outer_squared**0.5)
        assert torch.allclose(c.project(action, no_obs(1000)), expected, rtol=0, atol=1e-12)
    for c in (DISCS, BALLS):
        action = actions(c, 1000, generator)
        length = (action[:, None] - torch.as_tensor(c.centres)).norm(dim=2)
        gap = (length - torch.as_tensor(c.radius_squared).sqrt()).clamp(min=0)
        found = c.project(action, no_obs(1000))
        assert torch.allclose((action - found).norm(dim=1), gap.amin(dim=1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 100])
def test_discs_smaller_than_rounding_are_answered(generator, rows: int) -> None:
    c = Discs([[-0.5, 0.0], [0.5, 0.0]], [1e-8, 1e-8], -np.ones(2), np.ones(2))
    action = actions(c, rows, generator).float()
    for found in (c.project(action, no_obs(rows)), c.linear_oracle(action, no_obs(rows))):
        assert (found.abs() - torch.tensor([0.5, 0.0])).norm(dim=1).max() < 1e-3


@pytest.mark.parametrize("rows", [1, 10, 100])
def test_ties_go_to_a_fixed_point(rows: int) -> None:
    centre = torch.zeros((rows, 2), dtype=torch.float64)
    expected = torch.tensor([0.02**0.5, 0.0], dtype=torch.float64).expand(rows, -1)
    assert torch.allclose(RING.project(centre, no_obs(rows)), expected, rtol=0, atol=1e-15)
    alike = Discs([[-0.5, 0.0], [0.5, 0.0]], [0.04, 0.04], -np.ones(2), np.ones(2))
    assert (alike.project(centre, no_obs(rows))[:, 0] < 0).all()
    up = torch.tensor([[0.0, 1.0]], dtype=torch.float64).expand(rows, -1)
    assert (alike.linear_oracle(up, no_obs(rows))[:, 0] < 0).all()
    for c in (RING, alike):
        assert c.contains(c.linear_oracle(centre, no_obs(rows)), no_obs(rows)).all()


@PLANAR
def test_solvers_and_gauge_are_refused(c) -> None:
    action = torch.zeros((1, 2), dtype=torch.float64)
    for refused in (c.project_by_solver, c.repair_by_solver):
        with pytest.raises(UserError, match="not convex and has no QP"):
            refused(action, no_obs(1))
    with pytest.raises(UserError, match="not star-shaped"):
        c.gauge(action, no_obs(1))
