"""What an actor learns from (C6), against closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.experiments.c6 import Signal, actor_signal, signal_rows
from methods.ddpg import DDPG
from tests.benchmark.experiments.conftest import FLOWS, numbers
from tests.methods.learners import feed, make_learner, observations

RADIUS = 0.05**0.5


def puts_out(agent: DDPG[Any], output: list[float]) -> None:
    """Make the actor put out ``output`` at every state."""
    *_, weight, bias = agent.state["actor"]
    weight.zero_()
    bias.copy_(torch.tensor(output).atanh())


def values(signals: list[Signal]) -> dict[str, float | None]:
    return {row["quantity"]: row["value"] for row in signal_rows(signals)}


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
    found = values([actor_signal(layer, obs)])
    assert found["median norm"] == 0
    assert found["vanishing share"] == 1
    # Without the layer, the actor is told what the critic thinks of its own output.
    shipped = values([actor_signal(agent, obs)])
    assert shipped["vanishing share"] == 0
    assert shipped["relative norm"] == pytest.approx(1, rel=1e-5)


def test_a_projection_onto_a_disc_keeps_the_tangent_alone() -> None:
    agent = make_learner("ddpg-projection-layer", "R+L2")
    puts_out(agent, [0.6, 0.8])
    obs = observations(agent.task, 30)
    nearest = torch.tensor([[0.6, 0.8]]).expand(30, 2) * RADIUS
    tangent = (by_action(agent, obs, nearest) @ torch.tensor([-0.8, 0.6])).abs() * RADIUS
    assert torch.allclose(actor_signal(agent, obs).norm, tangent.double(), rtol=1e-3, atol=1e-7)


def test_what_nfw_learns_from_is_its_distance_to_the_target() -> None:
    agent = make_learner("nfw", "R+L2", alpha=0.3)
    feed(agent, 30)
    obs, constraint = observations(agent.task, 25), agent.task.constraint
    output = agent.policy(obs.float()).detach()
    feasible = constraint.project(output, obs)
    target = feasible + 0.3 * (constraint.linear_oracle(by_action(agent, obs, feasible), obs) - feasible)
    # Squared distance, averaged over two coordinates in half-widths of 1.
    expected = torch.linalg.vector_norm(output - target, dim=1).double()
    signal = actor_signal(agent, obs)
    assert torch.allclose(signal.norm, expected, rtol=1e-4)
    assert signal.at_action is None
    assert values([signal])["relative norm"] is None


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
    assert torch.allclose(actor_signal(agent, obs).norm, expected, rtol=1e-3)


def test_c6_has_every_kind_of_policy(place: Path) -> None:
    found = numbers(place, "c6")
    assert list(found["method"].unique()) == ["ddpg-projection-layer", "ddpg-projection", *FLOWS, "nfw-target"]
    rows = found.set_index(["method", "quantity"])["value"]
    assert rows["ddpg-projection", "relative norm"] == pytest.approx(1)
    assert rows["ddpg-projection-layer", "relative norm"] <= 1
    shares = found[found["quantity"].str.startswith("vanishing")]["value"]
    assert shares.between(0, 1).all()
