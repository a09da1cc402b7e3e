"""The learner that every method stands on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from envs import UserError, make_task
from envs.registry import TaskSpec
from methods import make_method
from methods.base import Transition
from methods.ddpg_projection import DDPGProjection, DDPGProjectionConfig
from tests.methods.bandit import bandit_task, error_after
from tests.methods.learners import METHODS, SMALL, equal, feed, make_learner, observations

REACHER = make_task("R+L2")


class Recorder(DDPGProjection):
    """A learner whose critics are functions known in closed form, and that notes what the critic is asked."""

    def q_value(self, critic: nn.Module, obs: Tensor, action: Tensor) -> Tensor:
        if critic is self.target_critic:
            return 10 + obs.sum(dim=1, keepdim=True)
        return super().q_value(critic, obs, action)


def one_step(terminated: bool, truncated: bool) -> Transition:
    obs = torch.ones((1, 10), dtype=torch.float64)
    action = torch.zeros((1, 2), dtype=torch.float64)
    return Transition(obs, action, action, 3.0, 2 * obs, terminated, truncated)


def bellman_loss(terminated: bool, truncated: bool, target: float) -> tuple[float, float]:
    """The critic's reported loss on one transition, and the loss towards ``target`` that it should be."""
    config = DDPGProjectionConfig(hidden=(8,), warmup=1, batch_size=4, replay_size=4, gamma=0.5)
    learner = Recorder(REACHER, config, 0)
    transition = one_step(terminated, truncated)
    learner.observe(transition)
    with torch.no_grad():
        value = learner.q_value(learner.critic, transition.obs.float(), transition.action.float())
    return learner.update()["critic_loss"], (float(value) - target) ** 2


def test_a_truncated_episode_is_bootstrapped_from() -> None:
    # 3 + 0.5 * (10 + 10 * 2)
    found, expected = bellman_loss(terminated=False, truncated=True, target=18.0)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("truncated", [False, True])
def test_a_terminated_episode_is_not_bootstrapped_from(truncated: bool) -> None:
    found, expected = bellman_loss(terminated=True, truncated=truncated, target=3.0)
    assert found == pytest.approx(expected, rel=1e-5)


def test_targets_move_by_tau() -> None:
    learner = make_learner(tau=0.25)
    feed(learner, 30)
    pairs = [(learner.target_actor, learner.actor), (learner.target_critic, learner.critic)]
    before = [[p.clone() for p in target.parameters()] for target, _ in pairs]
    learner.update()
    for old, (target, network) in zip(before, pairs, strict=True):
        for was, now, towards in zip(old, target.parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(now, 0.75 * was + 0.25 * towards)


@pytest.mark.parametrize("method", METHODS)
def test_the_actors_loss_leaves_the_critic_alone(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = make_learner(method)
    feed(learner, 30)
    learner.update()
    after_critic: list[Tensor] = []
    loss = learner.actor_loss

    def note_first(obs: Tensor) -> Tensor:
        after_critic.extend(p.clone() for p in learner.critic.parameters())
        return loss(obs)

    monkeypatch.setattr(learner, "actor_loss", note_first)
    before = [p.clone() for p in learner.actor.parameters()]
    learner.update()
    assert equal(after_critic, list(learner.critic.parameters()))
    assert not equal(before, list(learner.actor.parameters()))


@pytest.mark.parametrize("method", METHODS)
def test_the_actors_step_gives_the_critic_no_gradient(method: str) -> None:
    learner = make_learner(method)
    feed(learner, 30)
    learner.update()
    kept = [p.grad.clone() for p in learner.critic.parameters() if p.grad is not None]
    parameters = list(learner.actor.parameters())
    torch.autograd.grad(learner.actor_loss(observations(learner.task, 4).float()), parameters)
    assert equal(kept, [p.grad for p in learner.critic.parameters() if p.grad is not None])


def test_warm_up_actions_are_uniform_on_the_box_and_no_policy_is_judged() -> None:
    learner = make_learner(task="BSS-3")
    obs = observations(learner.task, 2000)
    policy, behaviour = learner.act_pair(obs)
    assert policy is None
    assert behaviour.min() >= 0
    assert behaviour.max() <= 35
    torch.testing.assert_close(behaviour.mean(dim=0), torch.full((3,), 17.5), atol=1.0, rtol=0)


def test_after_the_warm_up_exploration_is_the_policy_with_noise() -> None:
    learner = make_learner(noise=0.3)
    feed(learner, SMALL["warmup"])
    policy, behaviour = learner.act_pair(observations(learner.task, 5000))
    assert policy is not None
    assert (behaviour - policy).std().item() == pytest.approx(0.3, rel=0.05)
    assert torch.equal(policy, learner.act(observations(learner.task, 5000), explore=False))


# --- state --------------------------------------------------------------------------------------------------------


def test_a_learner_without_transitions_does_not_learn_from_nothing() -> None:
    saved, loaded = make_learner(), make_learner()
    feed(saved, 30)
    loaded.load_state_dict(saved.state_dict())
    assert loaded.update() == {}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("steps"),
        lambda state: state.pop("actor.0.weight"),
        lambda state: state.update({"critic.0.bias": torch.zeros(3)}),
        lambda state: state.update({"noise_generator": torch.zeros(3)}),
        lambda state: state.update({"actor_optimizer.first.step": torch.zeros(())}),
    ],
)
def test_a_damaged_state_is_refused(spoil: Any) -> None:
    learner = make_learner()
    state = learner.state_dict()
    spoil(state)
    with pytest.raises(UserError, match="does not belong to"):
        learner.load_state_dict(state)


# --- randomness -----------------------------------------------------------------------------------------------------


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        ({"gamma": -1}, "gamma"),
        ({"gamma": float("nan")}, "gamma"),
        ({"hidden": [16, 0]}, "hidden.1"),
        ({"batch_size": "many"}, "batch_size"),
        ({"gama": 0.9}, "gama"),
        ({"flow": {"kind": "glow"}}, "flow.kind"),
    ],
)
def test_a_bad_setting_is_named(config: dict[str, Any], setting: str) -> None:
    with pytest.raises(UserError, match=f"config of method 'flowpg', setting '{setting}'"):
        make_method("flowpg", REACHER, config)


# --- it learns ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bandit() -> Iterator[TaskSpec]:
    with bandit_task() as task:
        yield task


def test_it_solves_a_bandit(bandit: TaskSpec) -> None:
    learner = make_method("ddpg-projection", bandit, {**SMALL, "batch_size": 64, "replay_size": 2000, "warmup": 200})
    assert error_after(learner, 800) < 0.05
