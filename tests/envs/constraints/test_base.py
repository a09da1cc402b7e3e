"""The slow defaults, for a constraint of a user's own, and what constructors refuse."""

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from envs.constraints import (
    Allocation,
    Ball,
    Box,
    Constraint,
    Discs,
    Intersection,
    Power,
    Ring,
    SineSquares,
    TwoLegs,
    TwoLinkTip,
    WeightedL1,
)
from envs.constraints.solver import ParametrisedProgram
from envs.errors import UserError


class Halfspace(Constraint):
    """w . a <= bound, with violation and cvxpy_constraints only."""

    def __init__(self, bound: float) -> None:
        super().__init__([-1.0, -1.0], [1.0, 1.0], (0, 1))
        self.bound = bound

    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        self.check(action, obs)
        own = (action * self.context(obs)).sum(dim=1, keepdim=True) - self.bound
        return torch.cat([own, self.box_violation(action)], dim=1)

    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:
        return [obs_row[:2] @ x <= self.bound, x >= self.lower, x <= self.upper]


def test_a_feasible_action_has_no_scaled_violation_and_no_slope_although_a_solver_rounds() -> None:
    action = torch.tensor([[0.1, 0.2], [0.9, 0.9]], dtype=torch.float64, requires_grad=True)
    found = Halfspace(0.5).scaled_violation(action, torch.ones((2, 2), dtype=torch.float64))
    found.sum().backward()
    root = 2**0.5
    torch.testing.assert_close(found, torch.tensor([0.0, 1.3 / root], dtype=torch.float64), atol=1e-6, rtol=0)
    assert action.grad is not None
    assert action.grad[0].tolist() == [0.0, 0.0]
    torch.testing.assert_close(action.grad[1], torch.full((2,), 1 / root, dtype=torch.float64), atol=1e-5, rtol=0)


class Plane(Constraint):
    """a_1 + a_2 = 0.3, with what a set in a plane needs."""

    free_dim = 1
    free_box = np.array([-0.7]), np.array([1.0])

    def __init__(self) -> None:
        super().__init__([-1.0, -1.0], [1.0, 1.0])

    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        del obs
        own = (action.sum(dim=1, keepdim=True) - 0.3).abs() - 1e-12
        return torch.cat([own, self.box_violation(action)], dim=1)

    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:
        del obs_row
        return [cp.sum(x) == 0.3, x >= self.lower, x <= self.upper]

    def to_free(self, action: Tensor) -> Tensor:
        return action[:, :1]

    def from_free(self, free: Tensor) -> Tensor:
        return torch.cat([free, 0.3 - free], dim=1)


def test_a_set_in_a_plane_is_sampled_in_its_plane(generator) -> None:
    rows = torch.empty((2000, 0), dtype=torch.float64)
    drawn = Plane().sample(rows, generator)
    assert Plane().contains(drawn, rows).all()
    assert kstest(drawn[:, 0], "uniform", (-0.7, 1.7)).pvalue > 0.001


@pytest.fixture
def obs() -> Tensor:
    return torch.tensor([[3.0, 4.0], [1.0, 0.0], [-3.0, 4.0]], dtype=torch.float64)


def test_defaults_solve_projection_and_oracle(obs) -> None:
    action = torch.tensor([[3.0, 4.0], [0.2, 5.0], [0.0, 0.0]], dtype=torch.float64)
    expected = torch.tensor([[0.12, 0.16], [0.2, 1.0], [0.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(Halfspace(1.0).project(action, obs), expected, atol=1e-4)
    support = Halfspace(1.0).linear_oracle(obs, obs)
    assert torch.allclose((support * obs).sum(dim=1), torch.ones(3, dtype=torch.float64), atol=1e-6)


def test_an_empty_set_is_refused(obs) -> None:
    with pytest.raises(UserError, match="empty at this observation"):
        Halfspace(-100.0).project(torch.zeros((3, 2), dtype=torch.float64), obs)


def test_an_interior_point_takes_a_solver_only_where_the_middle_has_no_room(obs) -> None:
    roomy, tight = Halfspace(0.5), Halfspace(-0.5)
    assert torch.equal(roomy.interior(obs), torch.zeros((3, 2), dtype=torch.float64))
    assert not roomy._programs
    assert (tight.violation(tight.interior(obs), obs) < 0).all()


def test_a_set_without_interior_is_refused() -> None:
    obs = torch.tensor([[1.0, 1.0]], dtype=torch.float64)
    with pytest.raises(UserError, match="no strictly feasible action"):
        Halfspace(-2.0).interior(obs)


def test_the_solver_forgets_what_it_solved_before(generator) -> None:
    """Or a resumed run would differ from one that was not interrupted."""
    c = WeightedL1(20.0, -np.ones(6), np.ones(6), range(6))
    action, obs = (torch.randn((20, 6), generator=generator, dtype=torch.float64) * scale for scale in (2, 15))
    together = c.project_by_solver(action, obs)
    fresh = WeightedL1(20.0, -np.ones(6), np.ones(6), range(6)).project_by_solver(action[-1:], obs[-1:])
    assert torch.equal(together[-1:], fresh)


def test_compiled_once_and_right_for_every_observation(convex, generator) -> None:
    constraint = convex.constraint
    program = ParametrisedProgram(constraint.dim, lambda x, p: cp.sum_squares(x - p), constraint.cvxpy_constraints)
    action, obs = convex.action(3, generator).numpy(), convex.obs(3, generator).numpy()
    assert len({id(program._problem(row)) for row in obs}) == 1
    x = cp.Variable(constraint.dim)
    for target, row in zip(action, obs, strict=True):
        fresh = cp.Problem(cp.Minimize(cp.sum_squares(x - target)), constraint.cvxpy_constraints(x, row))
        fresh.solve(solver=cp.CLARABEL)
        np.testing.assert_allclose(program.solve(target, row), x.value, atol=1e-3)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Box([0.0, 0.0], [1.0]), "give both the same"),
        (lambda: Box([0.0], [np.inf]), "must be finite"),
        (lambda: Box([1.0], [1.0]), "without interior"),
        (lambda: Ball(0.0, [-1.0], [1.0]), "radius_squared is 0.0"),
        (lambda: Ball(1.0, [1.0, 0.0], [2.0, 1.0]), "share no interior"),
        (lambda: WeightedL1(-1.0, [-1.0], [1.0], [0]), "bound is -1.0"),
        (lambda: Power(1.0, [0.5], [1.0], [0]), "must contain 0"),
        (
            lambda: WeightedL1(1.0, [-1.0, -1.0], [1.0, 1.0], [0]),
            "give 2 and 2",
        ),
        (lambda: WeightedL1(1.0, [-1.0], [1.0], [-1]), "context indices"),
        (lambda: Allocation(106, np.zeros(3), np.full(3, 35.0)), "strictly between 0 and 105"),
        (lambda: Allocation(float("nan"), np.zeros(3), np.full(3, 35.0)), "strictly between"),
        (lambda: Allocation(1, [0.0], [2.0]), "two or more"),
        (lambda: TwoLegs(1.0, -np.ones(5), np.ones(5), range(8)), "give 6 and 8"),
        (lambda: TwoLegs(1.0, -np.ones(6), np.ones(6), range(7)), "6 action coordinates and 7"),
        (lambda: TwoLinkTip(1.0, [-1.0] * 3, [1.0] * 3, [0]), "give 2 and 1"),
        (lambda: TwoLinkTip(1.0, [-1.0, -1.0], [1.0, 1.0], [0, 1]), "give 2 and 1"),
        (lambda: SineSquares(0.1, [-1.0], [1.0], [0, 1]), "give 1 and 1"),
        (
            lambda: Intersection(WeightedL1(1.0, [-1.0], [1.0], [0]), SineSquares(0.1, [-1.0], [0.9], [1])),
            "action boxes of the two constraints differ",
        ),
        (lambda: Ring(0.0, 0.1, [-1.0, -1.0], [1.0, 1.0]), "0 < inner_squared"),
        (lambda: Ring(0.1, 0.2, [-1.0], [1.0]), "two coordinates or more"),
        (lambda: Ring(0.1, 0.2, [-1.0, -0.4], [1.0, 1.0]), "cuts the set"),
        (lambda: Discs([[0.0, 0.0]], [0.1, 0.2], [-1.0, -1.0], [1.0, 1.0]), "have shapes"),
        (lambda: Discs([[0.0, 0.0]], [0.0], [-1.0, -1.0], [1.0, 1.0]), "positive"),
        (lambda: Discs([[0.0, np.nan]], [0.1], [-1.0, -1.0], [1.0, 1.0]), "finite"),
        (lambda: Discs([[0.0, 0.0], [0.5, 0.0]], [0.1, 0.1], [-1.0, -1.0], [1.0, 1.0]), "touch or overlap"),
        (lambda: Discs([[0.9, 0.0]], [0.1], [-1.0, -1.0], [1.0, 1.0]), "cuts the set"),
    ],
)
def test_constructors_refuse(build, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build()
