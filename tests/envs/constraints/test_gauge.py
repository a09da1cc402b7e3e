"""The Minkowski gauge of every convex case, against bisection with ``contains`` and against the slow default."""

import pytest
import torch
from torch import Tensor

from envs.constraints import Constraint, Discs, Ring, WeightedL1
from envs.errors import UserError


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


def test_it_is_the_gauge(case, generator) -> None:
    c, d, obs = case.constraint, directions(case, 1000, generator), case.obs(1000, generator)
    assert torch.allclose(c.gauge(d, obs), bisected(c, d, obs), rtol=1e-11, atol=0)


def test_default_and_closed_form_agree(case, generator) -> None:
    c, d, obs = case.constraint, directions(case, 300, generator), case.obs(300, generator)
    d[0] = 0
    assert torch.allclose(Constraint.gauge(c, d, obs), c.gauge(d, obs), rtol=1e-11, atol=0)


def test_boundary_points(case, generator) -> None:
    c, d, obs = case.constraint, directions(case, 1000, generator), case.obs(1000, generator)
    end = d / c.gauge(d, obs)[:, None]
    centre = c.interior(obs)
    assert c.contains(centre + (1 - 1e-11) * end, obs).all()
    assert not c.contains(centre + (1 + 1e-11) * end, obs).any()
    assert torch.allclose(c.gauge(end, obs), torch.ones(1000, dtype=torch.float64), rtol=1e-13)


def test_gradients_are_right(case, generator) -> None:
    d = directions(case, 4, generator).requires_grad_()
    obs = (torch.randn((4, case.width), generator=generator, dtype=torch.float64) * 3).requires_grad_()
    assert torch.autograd.gradcheck(case.constraint.gauge, (d, obs), eps=1e-7, atol=1e-4)


def test_gradients_are_finite_in_every_corner(case) -> None:
    n, c = case.constraint.dim, case.constraint
    axes = torch.eye(n, dtype=torch.float64)
    d = torch.cat([torch.zeros((1, n)), torch.ones((1, n)), axes, -axes, 1e-200 * axes, 1e-9 * axes, 1e6 * axes])
    d = d - d.mean(dim=1, keepdim=True) if c.free_dim < n else d
    states = torch.zeros((4, case.width), dtype=torch.float64)
    states[1], states[2], states[3] = 40.0, -1.0, torch.linspace(-60, 60, case.width)
    obs = states.repeat_interleave(len(d), dim=0).requires_grad_()
    d = d.repeat(4, 1).requires_grad_()
    c.gauge(d, obs).sum().backward()
    assert torch.isfinite(d.grad).all()
    assert obs.grad is None or torch.isfinite(obs.grad).all()


def test_refusals(case) -> None:
    n = case.constraint.dim
    with pytest.raises(UserError, match="NaN or infinite"):
        case.constraint.gauge(torch.full((1, n), torch.nan), torch.zeros((1, case.width)))
    with pytest.raises(UserError, match="expected"):
        case.constraint.gauge(torch.zeros((2, n)), torch.zeros((1, case.width)))
    assert case.constraint.gauge(torch.zeros((0, n)), torch.zeros((0, case.width))).shape == (0,)


def test_a_constraint_of_a_users_own(generator) -> None:
    """``violation`` and ``cvxpy_constraints`` alone are enough; the interior point is then the solver's."""

    class Own(Constraint):
        inner = WeightedL1(1.0, [-1.0, -0.5], [1.0, 2.0], (0, 1))

        def violation(self, action, obs):
            return self.inner.violation(action, obs)

        def cvxpy_constraints(self, x, obs_row):
            return self.inner.cvxpy_constraints(x, obs_row)

    c = Own([-1.0, -0.5], [1.0, 2.0], (0, 1))
    d = torch.randn((20, 2), generator=generator, dtype=torch.float64)
    obs = 3 * torch.randn((20, 2), generator=generator, dtype=torch.float64)
    assert torch.allclose(c.gauge(d, obs), bisected(c, d, obs), rtol=1e-9)


@pytest.mark.parametrize(
    "constraint", [Ring(0.1, 0.2, [-1.0, -1.0], [1.0, 1.0]), Discs([[0.0, 0.0]], [0.2], [-1.0, -1.0], [1.0, 1.0])]
)
def test_what_is_not_convex_has_none(constraint) -> None:
    with pytest.raises(UserError, match="not star-shaped"):
        constraint.gauge(torch.ones((1, 2)), torch.zeros((1, 0)))
