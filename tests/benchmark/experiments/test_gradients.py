"""What of a gradient passes through a head (C6), against closed forms."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.experiments.c6 import ALONG, METHODS, SHARES, UNITS, Signal, actor_signal, mean_while_learning, shares
from methods.ddpg import DDPG
from tests.benchmark.experiments.conftest import FLOWS, numbers
from tests.methods.learners import make_learner, observations

RADIUS = 0.05**0.5


def puts_out(agent: DDPG[Any], output: list[float]) -> None:
    """Make the actor put out ``output`` at every state."""
    *_, weight, bias = agent.state["actor"]
    weight.zero_()
    bias.copy_(torch.tensor(output).atanh())


def by_action(agent: DDPG[Any], obs: Tensor, action: Tensor) -> Tensor:
    """dQ/da (S, n) at actions (S, n)."""
    action = action.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(agent.value(agent.state["critic"], obs.float(), action).sum(), action)
    return gradient


def test_a_policy_that_saturates_outside_learns_nothing_through_a_projection() -> None:
    # At w = (10, 10) the set is |a_1| + |a_2| <= 0.1: the nearest point to (0.9999, 0.01) is its corner (0.1, 0), and
    # stays there wherever the output goes nearby.
    agent, layer = make_learner("ddpg-projection", "R+O10"), make_learner("ddpg-projection-layer", "R+O10")
    obs = observations(agent.task, 40)
    obs[:, 6:8] = 10.0
    for learner in (agent, layer):
        puts_out(learner, [0.9999, 0.01])
    assert shares(actor_signal(layer, obs)) == dict.fromkeys(UNITS, 0.0) | dict.fromkeys(SHARES, 1.0)
    # Without the layer, the actor is told what the critic thinks of its own output, but for the saturated tanh.
    shipped = actor_signal(agent, obs)
    assert torch.equal(shipped.at_output, shipped.at_action)
    slope = torch.tensor([1 - 0.9999**2, 1 - 0.01**2])
    expected = torch.linalg.vector_norm(
        by_action(agent, obs, torch.tensor([[0.9999, 0.01]]).expand(40, 2)) * slope, dim=1
    )
    assert torch.allclose(shipped.before_tanh, expected.double(), rtol=1e-2)


def test_a_projection_onto_a_disc_keeps_the_tangent_alone() -> None:
    agent = make_learner("ddpg-projection-layer", "R+L2")
    puts_out(agent, [0.6, 0.8])
    obs = observations(agent.task, 30)
    nearest = torch.tensor([[0.6, 0.8]]).expand(30, 2) * RADIUS
    tangent = (by_action(agent, obs, nearest) @ torch.tensor([-0.8, 0.6])).abs() * RADIUS
    assert torch.allclose(actor_signal(agent, obs).at_output, tangent.double(), rtol=1e-3, atol=1e-7)


def test_states_without_a_gradient_have_none_to_lose() -> None:
    signal = Signal(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([0.0, 1.0, 0.03]), torch.tensor([0.0, 1.0, 0.0]))
    assert shares(signal)["lost share"] == 0.5
    assert shares(signal)["lost share before tanh"] == 0.5


@pytest.mark.parametrize("method", FLOWS)
def test_a_gradient_through_a_flow_is_the_chain_rule(method: str) -> None:
    agent = make_learner(method, "R+L2")
    obs = observations(agent.task, 12)
    latent = agent.output(agent.state["actor"], obs.float())
    flow = agent.trained_flow()
    jacobian = torch.stack(
        [torch.autograd.functional.jacobian(lambda z: flow(z[None], torch.empty((1, 0)))[0], row) for row in latent]
    )
    gradient = by_action(agent, obs, agent.policy(obs.float()))
    expected = torch.linalg.vector_norm((gradient[:, None].double() @ jacobian.double())[:, 0], dim=1)
    assert torch.allclose(actor_signal(agent, obs).at_output, expected, rtol=1e-3)


def test_a_mean_along_training_leaves_out_the_warm_up() -> None:
    looks = {step: {"lost share": share} for step, share in ((5, 0.0), (10, 0.0), (15, 0.2), (20, 0.4))}
    assert mean_while_learning(looks, "lost share", warmup=10) == pytest.approx(0.3)


def test_a_critic_without_a_gradient_has_no_share() -> None:
    nothing = torch.zeros(3)
    dead = shares(Signal(nothing, nothing, nothing))
    assert all(math.isnan(value) for value in dead.values())
    looks = {15: {"lost share": 0.2}, 20: dead}
    assert mean_while_learning(looks, "lost share", warmup=10) == 0.2
    assert math.isnan(mean_while_learning({20: dead}, "lost share", warmup=10))


def test_c6_has_every_head_along_training(place: Path) -> None:
    found = numbers(place, "c6")
    assert list(found["method"].unique()) == list(METHODS)
    assert found.groupby("method")["step"].nunique().eq(2).all()
    looks = found.pivot_table(index=["method", "step"], columns="quantity", values="value")
    for quantity in SHARES:
        along = looks[quantity + ALONG].groupby("method").max()
        assert np.allclose(along, looks[quantity].groupby("method").mean())
    assert looks[list(SHARES)].stack().between(0, 1).all()
    # A projection is the nearest point: it makes no gradient longer.
    assert (looks.loc["ddpg-projection-layer", "median share passed"] <= 1 + 1e-6).all()
