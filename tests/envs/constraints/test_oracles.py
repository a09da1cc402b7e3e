"""Support points of the harder families, one by one and in batches, where test_families.py does not look."""

import numpy as np
import pytest
import torch
from torch import Tensor

from envs import make_task
from envs.constraints import Constraint, TwoLinkTip
from envs.constraints.solver import ParametrisedProgram
from tests.envs.constraints.conftest import CONVEX, TIGHT, l1_and_sines, uneven

WIDTH = 17
FAMILIES: dict[str, Constraint] = {
    **{name: make_task(name).constraint for name in ("R+T", "HC+MA", "W+O+S")},
    **{case.name: case.constraint for case in CONVEX if case.name in ("tip-uneven-box", "legs-uneven-box")},
    "both-uneven-box": l1_and_sines((1.0, 0.3), uneven(6), range(6), range(6, 12)),
}
EVERY = pytest.mark.parametrize("c", FAMILIES.values(), ids=FAMILIES.keys())
BOTH = FAMILIES["W+O+S"]


def draw(c: Constraint, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Normal gradients and observations, an entry in ten 0."""
    gradient = torch.randn((rows, c.dim), generator=generator, dtype=torch.float64)
    obs = 10 * torch.randn((rows, WIDTH), generator=generator, dtype=torch.float64)
    obs[:, :2] = obs[:, :2].cos()
    return gradient, obs * (torch.rand(obs.shape, generator=generator) > 0.1)


def both_ways(c: Constraint, gradient: Tensor, obs: Tensor) -> list[Tensor]:
    """Support points asked for in one batch, and one by one."""
    rows = [c.linear_oracle(gradient[i : i + 1], obs[i : i + 1]) for i in range(len(gradient))]
    return [c.linear_oracle(gradient, obs), torch.cat(rows)]


def value(gradient: Tensor, point: Tensor) -> Tensor:
    """Of each row, in units of the gradient's largest entry."""
    return (gradient * point).sum(dim=1) / gradient.abs().amax(dim=1).clamp(min=1e-300)


@EVERY
def test_degenerate_gradients(c, generator) -> None:
    """Gradients of 0, along one axis, with ties, along the weights, tiny and huge, each at several observations."""
    axes = torch.eye(c.dim, dtype=torch.float64)
    signs = torch.randn((5, c.dim), generator=generator).sign().double()
    kinds = torch.cat([0 * axes[:1], axes, -axes, signs, 1e-200 * signs, 1e200 * signs, 1e-12 * axes + signs[0]])
    _, states = draw(c, 7, generator)
    states[0], states[1], states[2] = 0.0, 25.0, torch.linspace(-60, 60, WIDTH)
    states[3], states[4] = states[3] * 1e-3, states[4] * 1e3
    along = c.context(states)[:, : c.dim]
    along = torch.nn.functional.pad(along, (0, c.dim - along.shape[1]))
    gradient = torch.cat([kinds.repeat(len(states), 1), along])
    obs = torch.cat([states.repeat_interleave(len(kinds), dim=0), states])
    points = both_ways(c, gradient, obs)
    for point in points:
        assert c.contains(point, obs).all()
        # Where several points are equally good, that of the intersections is near the best.
        for other in (*points, c.project(1e3 * gradient.sign(), obs)):
            assert (value(gradient, other - point) <= 9e-8).all()


@EVERY
@pytest.mark.parametrize("rows", [1, 600])
def test_the_value_has_the_point_as_its_gradient(c, generator, rows: int) -> None:
    """The envelope theorem: what the point adds to the gradient of its value is 0."""
    gradient, obs = draw(c, rows, generator)
    without = c.linear_oracle(gradient, obs)
    point = c.linear_oracle(gradient.requires_grad_(), obs)
    assert torch.allclose(point, without, rtol=0, atol=1e-10)
    (gradient * point).sum().backward()
    assert torch.allclose(gradient.grad, without, rtol=0, atol=1e-4)


def test_with_one_constraint_inactive_it_is_the_other_ones(generator) -> None:
    gradient, obs = draw(BOTH, 200, generator)
    for other, idle in ((BOTH.quadratic, BOTH.l1), (BOTH.l1, BOTH.quadratic)):
        state = obs.clone()
        state[:, list(idle.context_indices)] = 0.0
        expected = value(gradient, other.linear_oracle(gradient, state))
        for point in both_ways(BOTH, gradient, state):
            assert torch.allclose(value(gradient, point), expected, rtol=1e-12)
    assert all(torch.equal(point, gradient.sign()) for point in both_ways(BOTH, gradient, 0 * obs))


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
def test_where_many_points_are_equally_good(generator) -> None:
    """A gradient along the weights has no multipliers of its own: the nearest point to a far one steps in."""
    _, obs = draw(BOTH, 50, generator)
    gradient = obs[:, list(BOTH.l1.context_indices)].abs() + 1e-9
    program = ParametrisedProgram(BOTH.dim, lambda x, g: -g @ x, BOTH.cvxpy_constraints, TIGHT)
    pairs = zip(gradient.numpy(), obs.numpy(), strict=True)
    expected = value(gradient, torch.as_tensor(np.stack([program.solve(g, o) for g, o in pairs])))
    for point in both_ways(BOTH, gradient, obs):
        assert BOTH.contains(point, obs).all()
        assert ((value(gradient, point) - expected).abs() <= 1.9e-7).all()


@pytest.mark.parametrize("rows", [1, 50, 600])
def test_an_ellipse_smaller_than_rounding_is_answered(generator, rows: int) -> None:
    """In float32 the margin is then larger than the bound."""
    c = TwoLinkTip(1e-8, [-1.0, -1.0], [1.0, 1.0], [0])
    gradient, obs = torch.randn((rows, 2), generator=generator), torch.randn((rows, 1), generator=generator)
    for point in (c.linear_oracle(gradient, obs), c.project(gradient, obs)):
        assert c.contains(point, obs).all()


@pytest.mark.parametrize("name", ["Portfolio", "R+2D", "H+O+S", "W+O+S", "W+M", "HC+O", "HC+O+R"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite(name: str, dtype: torch.dtype, generator) -> None:
    """Also at ties, and at weights of 0."""
    c = make_task(name).constraint
    gradient, obs = draw(c, 200, generator)
    # The previous action, which some constraints read, is in the box.
    previous = 2 * torch.rand((200, 6), generator=generator, dtype=torch.float64) - 1
    obs = torch.cat([obs, previous], dim=1)
    along = c.context(obs)[:, : c.dim]
    gradient = torch.cat([gradient, torch.nn.functional.pad(along, (0, c.dim - along.shape[1]))])
    gradient, obs = (array.to(dtype).requires_grad_() for array in (gradient, torch.cat([obs, obs])))
    point = c.linear_oracle(gradient, obs)
    if point.requires_grad:
        found = torch.autograd.grad(point.sum(), (gradient, obs), allow_unused=True)
        assert all(one is None or bool(one.isfinite().all()) for one in found)
