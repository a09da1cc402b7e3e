"""FlowPG: a policy in the latent space of a frozen flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch

from envs import UserError, make_task
from methods import make_method
from methods.base import Checkpoint, Maker, Tensors
from methods.flowpg import FlowPGBase
from methods.flows.training import make_flow
from tests.methods.learners import FLOW_METHODS, feed, make_learner, observations, settings


@pytest.fixture(scope="module", params=FLOW_METHODS)
def learner(request: pytest.FixtureRequest) -> FlowPGBase[Any]:
    made = make_learner(request.param, "H+M")
    assert isinstance(made, FlowPGBase)
    feed(made, 30)
    return made


def test_the_policy_is_the_flow_of_the_actors_output(learner: FlowPGBase[Any]) -> None:
    obs = observations(learner.task, 5).float()
    latent = learner.actor(learner.scale_obs(obs))
    assert latent.abs().max() <= 1
    action = learner.trained_flow()(latent, learner.task.constraint.context(obs))
    torch.testing.assert_close(learner.policy(obs), action)


def test_learning_leaves_the_flow_as_it_was(learner: FlowPGBase[Any]) -> None:
    before = {name: value.clone() for name, value in learner.trained_flow().state_dict().items()}
    actor = learner.actor[0].weight.clone()
    learner.update()
    assert not torch.equal(actor, learner.actor[0].weight)
    assert all(torch.equal(value, before[name]) for name, value in learner.trained_flow().state_dict().items())


@pytest.mark.parametrize("method", FLOW_METHODS)
def test_one_flow_serves_all_seeds(method: str) -> None:
    flows = [make_learner(method, seed=seed).trained_flow().state_dict() for seed in (0, 1)]
    assert all(torch.equal(flows[0][name], flows[1][name]) for name in flows[0])


def test_acting_before_preparation_is_refused() -> None:
    unprepared = make_method("flowpg", make_task("R+L2"), settings("flowpg"))
    with pytest.raises(UserError, match="call prepare"):
        unprepared.act(torch.zeros((1, 10)), explore=False)


def test_preparation_asks_the_store_under_the_flows_settings() -> None:
    asked = []

    class Store:
        checkpoint = Checkpoint()

        def get(self, name: str, config: Mapping[str, Any], code: Sequence[str], make: Maker) -> Tensors:
            asked.append((name, dict(config), tuple(code)))
            return make(self)

    method = make_method("flowpg", make_task("R+L2"), settings("flowpg"))
    method.prepare(Store())
    names = [name for name, _, _ in asked]
    assert names == ["flows/flowpg", "samples"]
    assert asked[0][1].keys() == {"flow", "samples"}
    assert make_flow(method.task, method.config.flow).dim == 2
