"""Neural Frank-Wolfe: where its actor is drawn to, and what it bootstraps from."""

from __future__ import annotations

import cvxpy as cp
import pytest
import torch
from torch import Tensor, nn

from methods.ddpg import DDPG
from methods.functional import by_autograd
from tests.methods.learners import feed, make_learner, observations

ALPHA = 0.3


def support_points(learner: DDPG, gradient: Tensor, obs: Tensor) -> Tensor:
    """argmax over C(s) of <gradient, c>, by cvxpy: independent of the constraint's own oracle."""
    rows = []
    for g, o in zip(gradient.double().numpy(), obs.double().numpy(), strict=True):
        c = cp.Variable(learner.task.constraint.dim)
        cp.Problem(cp.Maximize(g @ c), learner.task.constraint.cvxpy_constraints(c, o)).solve(cp.CLARABEL)
        rows.append(torch.as_tensor(c.value))
    return torch.stack(rows)


def frank_wolfe(learner: DDPG, obs: Tensor) -> tuple[Tensor, Tensor]:
    """The projected policy and the point that Frank-Wolfe moves it to, in float64 and by hand."""
    output = learner.policy(obs).detach()
    feasible = learner.task.constraint.project(output, obs)
    asked = feasible.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(learner.value(learner.state["critic"], obs, asked).sum(), asked)
    corner = support_points(learner, gradient, obs)
    return output.double(), feasible.double() + ALPHA * (corner - feasible.double())


@pytest.fixture(params=["R+L2", "HC+O", "BSS-3"])
def learner(request: pytest.FixtureRequest) -> DDPG:
    made = make_learner("nfw", request.param, alpha=ALPHA)
    feed(made, 30)
    made.update()
    return made


def test_the_actor_regresses_on_a_step_towards_the_best_corner(learner: DDPG) -> None:
    obs = observations(learner.task, 6).float()
    output, target = frank_wolfe(learner, obs)
    expected = nn.functional.mse_loss(output / learner.action_half, target / learner.action_half)
    loss = learner.actor_loss(learner.output(learner.state["actor"], obs), learner.state, obs, by_autograd)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("family", ["nfw", "ddpg-projection"])
@pytest.mark.parametrize("task", ["R+L2", "HC+O", "BSS-3"])
def test_as_released_it_bootstraps_from_the_raw_output_and_its_target_row_from_the_nearest_action(
    family: str, task: str
) -> None:
    released, projected = make_learner(family, task), make_learner(f"{family}-target", task)
    obs = 30 * observations(released.task, 6)
    raw = released.action_middle + released.action_half * released.output(released.state["target_actor"], obs)
    assert torch.equal(released.target_action(released.state["target_actor"], obs, ()), raw)
    constraint = released.task.constraint
    assert not constraint.contains(raw, obs).all()
    nearest = constraint.project_by_solver(raw.double(), obs)
    found = projected.target_action(projected.state["target_actor"], obs, ()).double()
    torch.testing.assert_close(found, nearest, rtol=1e-5, atol=1e-4)
