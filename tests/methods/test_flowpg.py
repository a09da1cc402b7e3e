"""FlowPG: a policy in the latent space of a frozen flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from envs import UserError, make_task
from methods import make_method
from methods.base import Artifacts, Maker, Tensors
from tests.methods.learners import FLOW_METHODS, feed, make_learner, observations, settings


@pytest.mark.parametrize("method", FLOW_METHODS)
def test_the_policy_is_the_flow_of_the_actors_output_and_learning_leaves_the_flow(method: str) -> None:
    learner: Any = make_learner(method, "H+M")
    feed(learner, 30)
    obs = observations(learner.task, 5).float()
    action = learner.trained_flow()(learner.output(learner.state["actor"], obs), learner.task.constraint.context(obs))
    torch.testing.assert_close(learner.policy(obs), action)
    before = {name: value.clone() for name, value in learner.trained_flow().state_dict().items()}
    actor = learner.state["actor"][0].clone()
    learner.update()
    assert not torch.equal(actor, learner.state["actor"][0])
    assert all(torch.equal(value, before[name]) for name, value in learner.trained_flow().state_dict().items())


@pytest.mark.parametrize("method", FLOW_METHODS)
def test_one_flow_serves_all_seeds(method: str) -> None:
    flows = [make_learner(method, seed=seed).trained_flow().state_dict() for seed in (0, 1)]
    assert all(torch.equal(flows[0][name], flows[1][name]) for name in flows[0])


def test_acting_before_preparation_is_refused() -> None:
    unprepared = make_method("flowpg", make_task("R+L2"), settings("flowpg"))
    with pytest.raises(UserError, match="prepare"):
        unprepared.act(torch.zeros((1, 10)), explore=False)


def test_preparation_asks_the_store_under_the_flows_settings() -> None:
    asked = []

    class Store(Artifacts):
        def get(self, name: str, settings: Mapping[str, Any], versions: dict[str, int], make: Maker) -> Tensors:
            asked.append((name, set(settings)))
            return super().get(name, settings, versions, make)

    method = make_method("flowpg", make_task("R+L2"), settings("flowpg"))
    method.prepare(Store())
    assert asked == [("flows/flowpg", {"flow", "samples"}), ("samples", {"train", "test", "rollout_steps"})]
