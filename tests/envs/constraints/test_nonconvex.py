"""Ring and discs: against every point of a fine grid, and against closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from envs.constraints import Discs, Ring
from envs.constraints.nonconvex import NonConvex
from envs.errors import UserError

RING = Ring(0.02, 0.05, -np.ones(2), np.ones(2))
DISCS = Discs([[0.5, 0.0], [-0.5, 0.0]], [0.05, 0.02], -np.ones(2), np.ones(2))
SHELL = Ring(0.5, 2.0, [-2.0] * 4, [1.5, 2.0, 3.0, 1.5])
BALLS = Discs([[0.0, 0.0, 0.6], [0.1, -0.4, 0.0], [0.5, 0.3, -0.6]], [0.04, 0.09, 0.1], [-1.0] * 3, [1.0] * 3)
EVERY = pytest.mark.parametrize("c", [RING, DISCS, SHELL, BALLS], ids=["R+Ring", "R+2D", "shell", "balls"])
PLANAR = pytest.mark.parametrize("c", [RING, DISCS], ids=["R+Ring", "R+2D"])

ROWS = 20_000
ALARM = 1e-4
STEP = 4e-3


def no_obs(rows: int) -> Tensor:
    return torch.zeros((rows, 0), dtype=torch.float64)


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


@EVERY
def test_project_is_feasible_and_keeps_what_is(c, generator) -> None:
    near, far, tiny = actions(c, 5000, generator), 1e9 * actions(c, 100, generator), 1e-200 * torch.eye(c.dim).double()
    for action in (near, far, tiny, near.float(), far.float()):
        point = c.project(action, no_obs(len(action)))
        assert c.contains(point, no_obs(len(action))).all()
        assert torch.equal(c.project(point, no_obs(len(action))), point)
    feasible = c.sample(no_obs(100), generator)
    assert torch.equal(torch.cat([c.project(a[None], no_obs(1)) for a in feasible]), feasible)


@EVERY
def test_gradients(c, generator) -> None:
    action, obs = actions(c, 10, generator).requires_grad_(), no_obs(10)
    assert torch.autograd.gradcheck(lambda a: c.project(a, obs), action, eps=1e-7, atol=1e-5)
    axes = torch.eye(c.dim, dtype=torch.float64)
    corners = torch.cat([0 * axes, axes, -axes, 1e-200 * axes, 1e6 * axes]).requires_grad_()
    c.project(corners, no_obs(len(corners))).sum().backward()
    assert torch.isfinite(corners.grad).all()


@EVERY
def test_boxes_are_tight(c) -> None:
    lower, upper = c.bounding_box(no_obs(1))
    for i, axis in enumerate(torch.eye(c.dim, dtype=torch.float64)[:, None]):
        assert torch.allclose(c.linear_oracle(axis, no_obs(1))[0, i], upper[0, i], atol=1e-12)
        assert torch.allclose(c.linear_oracle(-axis, no_obs(1))[0, i], lower[0, i], atol=1e-12)


def test_samples_are_uniform(generator) -> None:
    for c in (RING, SHELL):
        action = c.sample(no_obs(ROWS), generator)
        inner, outer = c.inner_squared ** (c.dim / 2), c.outer_squared ** (c.dim / 2)
        share = (action.norm(dim=1) ** c.dim - inner) / (outer - inner)
        assert stats.kstest(share, "uniform").pvalue > ALARM
    angle = torch.atan2(*RING.sample(no_obs(ROWS), generator).T) / (2 * torch.pi) + 0.5
    assert stats.kstest(angle, "uniform").pvalue > ALARM
    for c in (DISCS, BALLS):
        offset = c.sample(no_obs(ROWS), generator)[:, None] - torch.as_tensor(c.centres)
        share = offset.square().sum(dim=2) / torch.as_tensor(c.radius_squared)
        disc = share.argmin(dim=1)
        volume = c.radius_squared ** (c.dim / 2)
        counts = np.bincount(disc.numpy(), minlength=len(volume))
        assert stats.chisquare(counts, ROWS * volume / volume.sum()).pvalue > ALARM
        for k in range(len(volume)):
            assert stats.kstest(share[disc == k, k] ** (c.dim / 2), "uniform").pvalue > ALARM


@PLANAR
def test_solvers_and_gauge_are_refused(c) -> None:
    action = torch.zeros((1, 2), dtype=torch.float64)
    for refused in (c.project_by_solver, c.repair_by_solver):
        with pytest.raises(UserError, match="not convex and has no QP"):
            refused(action, no_obs(1))
    with pytest.raises(UserError, match="not star-shaped"):
        c.gauge(action, no_obs(1))
