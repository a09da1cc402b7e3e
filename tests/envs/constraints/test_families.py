"""What every exact family must satisfy beyond conformance: one parametrised row, float64 unless said otherwise."""

import itertools

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch import Tensor

from envs.constraints import Allocation, Ball, Power, WeightedL1
from envs.constraints.solver import ParametrisedProgram
from envs.errors import UserError
from tests.envs.constraints.conftest import CONVEX, TIGHT

# Programs solved a case; each takes a millisecond.
SOLVES = 200


def box_size(case) -> float:
    return float(np.abs([case.constraint.lower, case.constraint.upper]).max())


def solve_rows(case, objective, parameter: Tensor, obs: Tensor) -> Tensor:
    program = ParametrisedProgram(case.constraint.dim, objective, case.constraint.cvxpy_constraints, TIGHT)
    return torch.as_tensor(np.stack([program.solve(p.numpy(), o.numpy()) for p, o in zip(parameter, obs, strict=True)]))


def one_by_one(function, action: Tensor, obs: Tensor) -> Tensor:
    return torch.cat([function(action[i : i + 1], obs[i : i + 1]) for i in range(len(action))])


def corner_cases(case, generator) -> tuple[Tensor, Tensor]:
    """No velocity, one velocity, ties, actions at the ends of the box, far outside, and feasible ones."""
    n, c = case.constraint.dim, case.constraint
    one = torch.zeros(case.width, dtype=torch.float64)
    one[c.context_indices[0] if c.context_indices else 0] = -50.0
    states = [0 * one, one, 0 * one + 40.0, 0 * one - 40.0, torch.linspace(-60, 60, case.width, dtype=torch.float64)]
    ends = torch.as_tensor(np.stack([c.lower, c.upper, (c.lower + c.upper) / 2, np.zeros(n), np.full(n, 7.0)]))
    axes = torch.eye(n, dtype=torch.float64)
    actions = torch.cat([ends, axes, -axes, 1e3 * axes, -1e6 * axes, 1e6 * ends])
    obs = torch.stack(states).repeat_interleave(len(actions), dim=0)
    actions = actions.repeat(len(states), 1)
    feasible = c.sample(obs[: len(states) * 4], generator)
    return torch.cat([actions, feasible]), torch.cat([obs, obs[: len(feasible)]])


# --- projection ------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
def test_project_agrees_with_clarabel(convex, generator) -> None:
    action, obs = convex.action(4 * SOLVES, generator), convex.obs(4 * SOLVES, generator)
    # Feasible actions have the answer known exactly, which is tested below.
    outside = ~convex.constraint.contains(action, obs)
    action, obs = action[outside][:SOLVES], obs[outside][:SOLVES]
    assert len(action) == SOLVES
    expected = solve_rows(convex, lambda x, p: cp.sum_squares(x - p), action, obs)
    found = convex.constraint.project(action, obs)
    assert (found - expected).abs().max() <= convex.solver_error * max(1.0, box_size(convex))
    # However far apart, ours is never the farther one, although it alone is feasible to the last bit.
    distance = (action - expected).norm(dim=1)
    assert ((action - found).norm(dim=1) <= distance + 1e-7 * (1 + distance)).all()


def test_project_keeps_feasible_actions_to_the_bit(case, generator) -> None:
    obs = case.obs(2000, generator)
    action = case.constraint.sample(obs, generator)
    assert torch.equal(case.constraint.project(action, obs), action)
    assert torch.equal(one_by_one(case.constraint.project, action[:200], obs[:200]), action[:200])


def test_project_leaves_no_direction_that_leads_closer(convex, generator) -> None:
    """The optimality condition <y - p, z - p> <= 0 at the support point z, where no solver is precise enough."""
    c = convex.constraint
    action, obs = corner_cases(convex, generator)
    for point in (c.project(action, obs), one_by_one(c.project, action, obs)):
        assert c.contains(point, obs).all()
        gap = ((action - point) * (c.linear_oracle(action - point, obs) - point)).sum(dim=1)
        # An action at 7e6 has 9 digits after the point, and so has its projection.
        assert (gap <= 3e-9 * box_size(convex) * (1 + (action - point).norm(dim=1))).all()


@pytest.mark.parametrize("distance", [1e9, 1e150])
def test_project_answers_however_far_the_action(convex, generator, distance: float) -> None:
    c = convex.constraint
    direction, obs = torch.randn((50, c.dim), generator=generator, dtype=torch.float64), convex.obs(50, generator)
    support = c.linear_oracle(direction, obs)
    for point in (c.project(direction * distance, obs), one_by_one(c.project, direction * distance, obs)):
        assert c.contains(point, obs).all()
        assert ((direction * (support - point)).sum(dim=1) <= 1e-5 * box_size(convex)).all()


def test_project_in_float32(case, generator) -> None:
    c = case.constraint
    action, obs = case.action(2000, generator), case.obs(2000, generator)
    point = c.project(action.float(), obs.float())
    assert point.dtype == torch.float32
    assert c.contains(point, obs.float()).all()
    assert torch.equal(c.project(point, obs.float()), point)
    assert (point.double() - c.project(action, obs)).abs().max() <= 2e-3 * max(1.0, box_size(case))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_batch_size_agrees(case, generator, dtype: torch.dtype) -> None:
    """Plain numbers at 1, NumPy at 10 and torch at 100 give the same, and each finds feasible what another projects."""
    c = case.constraint
    action, obs = case.action(100, generator).to(dtype), case.obs(100, generator).to(dtype)
    tolerance = 1e4 * torch.finfo(dtype).eps * box_size(case)
    for function in (c.violation, c.project, c.linear_oracle):
        many = function(action, obs)
        scale = 1 + many.abs()
        some = torch.cat([function(action[i : i + 10], obs[i : i + 10]) for i in range(0, 100, 10)])
        assert ((some - many).abs() <= tolerance * scale).all()
        assert ((one_by_one(function, action, obs) - many).abs() <= tolerance * scale).all()
    assert one_by_one(c.contains, c.project(action, obs), obs).all()
    assert c.contains(one_by_one(c.project, action, obs), obs).all()
    assert c.contains(c.linear_oracle(action, obs), obs).all()


# --- linear oracle and boxes -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
def test_linear_oracle_agrees_with_clarabel(convex, generator) -> None:
    rows = SOLVES // 2
    gradient = torch.randn((rows, convex.constraint.dim), generator=generator, dtype=torch.float64)
    gradient[::5] = gradient[::5].sign()
    obs = convex.obs(rows, generator)
    expected = solve_rows(convex, lambda x, p: -p @ x, gradient, obs)
    found = convex.constraint.linear_oracle(gradient, obs)
    assert convex.constraint.contains(found, obs).all()
    difference = (gradient * (found - expected)).sum(dim=1).abs()
    assert (difference <= 1e-7 * (1 + gradient.norm(dim=1) * box_size(convex))).all()


def test_linear_oracle_is_feasible_for_degenerate_gradients(case, generator) -> None:
    n = case.constraint.dim
    gradient = torch.cat([torch.zeros((1, n)), torch.ones((1, n)), torch.eye(n), 1e-300 * torch.eye(n)]).double()
    obs = case.obs(len(gradient), generator)
    assert case.constraint.contains(case.constraint.linear_oracle(gradient, obs), obs).all()
    assert case.constraint.contains(case.constraint.linear_oracle(1e200 * gradient, obs), obs).all()


def test_boxes_are_tight(case, generator) -> None:
    c = case.constraint
    obs = torch.cat([case.obs(50, generator), torch.zeros((1, case.width), dtype=torch.float64)])
    lower, upper = c.bounding_box(obs)
    for i, axis in enumerate(torch.eye(c.dim, dtype=torch.float64)):
        assert torch.allclose(c.linear_oracle(axis.expand(51, -1), obs)[:, i], upper[:, i], atol=1e-9)
        assert torch.allclose(c.linear_oracle(-axis.expand(51, -1), obs)[:, i], lower[:, i], atol=1e-9)
    reached = c.to_free(torch.cat([lower, upper]))
    for end, extreme in zip(c.free_box, (reached.amin(0), reached.amax(0)), strict=True):
        assert torch.allclose(extreme, torch.as_tensor(end), atol=1e-12)
    action = c.sample(obs, generator)
    assert torch.allclose(c.from_free(c.to_free(action)), action, rtol=0, atol=1e-12)


# --- penalties ---------------------------------------------------------------------------------------------------


def of_kind(*kinds: type) -> list:
    return [pytest.param(case, id=case.name) for case in CONVEX if isinstance(case.constraint, kinds)]


@pytest.mark.parametrize("case", of_kind(WeightedL1, Power))
def test_the_scaled_violation_of_a_power_budget_is_acrl_benchs(case, generator) -> None:
    c = case.constraint
    action, obs = case.action(50, generator), case.obs(50, generator)
    w, factors = obs[:, list(c.context_indices)].numpy(), (-1, 1) if isinstance(c, WeightedL1) else (0, 1)
    for a, state, found in zip(action.numpy(), w, c.scaled_violation(action, obs).numpy(), strict=True):
        over = [*(a - c.upper), *(c.lower - a)]
        for signs in itertools.product(factors, repeat=c.dim):
            normal = signs * state
            if normal.any():
                over.append((normal @ a - c.bound) / np.linalg.norm(normal))
        assert found == pytest.approx(np.linalg.norm(np.maximum(over, 0)), abs=1e-12)


@pytest.mark.parametrize("case", of_kind(Ball, Allocation))
def test_the_scaled_violation_of_others_is_the_distance(case, generator) -> None:
    action, obs = case.action(50, generator), case.obs(50, generator)
    distance = (action - case.constraint.project(action, obs)).norm(dim=1)
    assert (distance > 0).any()
    torch.testing.assert_close(case.constraint.scaled_violation(action, obs), distance)


# --- gradients ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["violation", "project", "scaled_violation"])
def test_gradients_are_right_away_from_kinks(case, generator, name: str) -> None:
    # Kinks have measure zero, but finite differences step over them: velocities of one magnitude keep them apart.
    action = case.action(4, generator)
    obs = torch.randn((4, case.width), generator=generator, dtype=torch.float64) * 15
    inputs = action.requires_grad_(), obs.requires_grad_(name != "scaled_violation")
    assert torch.autograd.gradcheck(getattr(case.constraint, name), inputs, eps=1e-7, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_in_every_corner(case, generator, dtype: torch.dtype) -> None:
    action, obs = corner_cases(case, generator)
    # Close to 0, squares and their inverses overflow in float32.
    near = [x.sign() * torch.rand(x.shape, generator=generator, dtype=x.dtype) for x in (action, obs)]
    actions = [action, 1e-12 * near[0], 1e-12 * near[0], action]
    states = [obs, obs, 1e-12 * near[1], 1e-12 * near[1]]
    action, obs = (torch.cat(parts).to(dtype).requires_grad_() for parts in (actions, states))
    point = case.constraint.project(action, obs)
    assert case.constraint.contains(point, obs).all()
    violations = case.constraint.violation(action, obs).sum() + case.constraint.scaled_violation(action, obs).sum()
    (point.sum() + violations).backward()
    assert torch.isfinite(action.grad).all()
    assert obs.grad is None or torch.isfinite(obs.grad).all()


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 10, 100])
def test_bad_numbers_are_refused(case, generator, rows: int) -> None:
    for bad, which in ((torch.nan, 0), (-torch.inf, 1)):
        inputs = [case.action(rows, generator), case.obs(rows, generator)]
        inputs[which][-1, -1] = bad
        for function in (case.constraint.violation, case.constraint.project, case.constraint.linear_oracle):
            with pytest.raises(UserError, match="NaN or infinite"):
                function(*inputs)


def test_wrong_shapes_and_types_are_refused(case) -> None:
    n, width, project = case.constraint.dim, case.width, case.constraint.project
    shapes = [((2, n + 1), (2, width)), ((n,), (2, width)), ((2, 1, n), (2, width)), ((2, n), (3, width))]
    for action, obs in (*shapes, ((2, n), (width,))):
        with pytest.raises(UserError, match="expected"):
            project(torch.zeros(action), torch.zeros(obs))
    with pytest.raises(UserError, match="float32 or float64"):
        project(torch.zeros((1, n), dtype=torch.int64), torch.zeros((1, width)))
    assert project(torch.zeros((0, n)), torch.zeros((0, width))).shape == (0, n)
