"""The Minkowski gauge of every convex case, in closed form and by default, against bisection with ``contains``."""

import functools

import pytest
import torch
from torch import Tensor

from envs import UserError
from envs.constraints import Constraint


def directions(case, rows: int, generator: torch.Generator) -> Tensor:
    """Directions of all lengths from a thousandth of the box to ten times its size, in the plane of the set."""
    c = case.constraint
    half = torch.as_tensor(c.upper - c.lower) / 2
    scale = 10 ** (4 * torch.rand((rows, 1), generator=generator, dtype=torch.float64) - 3)
    d = torch.randn((rows, c.dim), generator=generator, dtype=torch.float64) * half * scale
    return d - d.mean(dim=1, keepdim=True) if c.free_dim < c.dim else d


def bisected(c: Constraint, direction: Tensor, obs: Tensor) -> Tensor:
    """The gauge by definition, from ``contains`` alone: (B,)."""
    centre = c.interior(obs)
    size = torch.as_tensor(c.upper - c.lower)
    low, high = torch.zeros(len(direction), 1).double(), 2 / (direction.abs() / size).amax(dim=1, keepdim=True)
    for _ in range(100):
        middle = (low + high) / 2
        inside = c.contains(centre + middle * direction, obs)[:, None]
        low, high = torch.where(inside, middle, low), torch.where(inside, high, middle)
    return 1 / high[:, 0]


@pytest.mark.parametrize("default", [False, True])
def test_it_is_the_gauge(convex, generator, default: bool) -> None:
    c, d, obs = convex.constraint, directions(convex, 500, generator), convex.obs(500, generator)
    gauge = functools.partial(Constraint.gauge, c) if default else c.gauge
    assert torch.allclose(gauge(d, obs), bisected(c, d, obs), rtol=1e-11, atol=0)
    assert gauge(0 * d[:1], obs[:1]).item() == 0


def test_gradients_are_right(convex, generator) -> None:
    d = directions(convex, 4, generator).requires_grad_()
    obs = (torch.randn((4, convex.width), generator=generator, dtype=torch.float64) * 3).requires_grad_()
    assert torch.autograd.gradcheck(convex.constraint.gauge, (d, obs), eps=1e-7, atol=1e-4)


def test_gradients_are_finite_in_every_corner(convex) -> None:
    n, c = convex.constraint.dim, convex.constraint
    axes = torch.eye(n, dtype=torch.float64)
    d = torch.cat([torch.zeros((1, n)), torch.ones((1, n)), axes, -axes, 1e-200 * axes, 1e-9 * axes, 1e6 * axes])
    d = d - d.mean(dim=1, keepdim=True) if c.free_dim < n else d
    states = torch.zeros((4, convex.width), dtype=torch.float64)
    states[1], states[2], states[3] = 40.0, -1.0, torch.linspace(-60, 60, convex.width)
    obs = states.repeat_interleave(len(d), dim=0).requires_grad_()
    d = d.repeat(4, 1).requires_grad_()
    c.gauge(d, obs).sum().backward()
    assert torch.isfinite(d.grad).all()
    assert obs.grad is None or torch.isfinite(obs.grad).all()


def test_a_direction_out_of_the_plane_of_an_equality_is_refused(convex) -> None:
    c = convex.constraint
    out, obs = torch.ones((1, c.dim), dtype=torch.float64), torch.zeros((1, convex.width), dtype=torch.float64)
    for gauge in (c.gauge, functools.partial(Constraint.gauge, c)):
        if c.free_dim < c.dim:
            with pytest.raises(UserError, match="leaves the plane of the equality"):
                gauge(out, obs)
        else:
            assert gauge(out, obs).isfinite().all()
