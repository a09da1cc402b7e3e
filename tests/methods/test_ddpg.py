"""The learner that most methods stand on, and two that change little of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.training.meter import Clock, Meter, Repair
from envs import UserError, make_task
from methods import make_method
from methods.base import Transition
from methods.ddpg_projection import DDPGProjection, DDPGProjectionConfig
from methods.flowpg_gauge import FlowPGGauge
from methods.functional import Parameters
from tests.methods.bandit import bandit_task, error_after
from tests.methods.learners import SMALL, feed, make_learner, observations, settings

REACHER = make_task("R+L2")


class Recorder(DDPGProjection):
    """A learner whose target critic is a function known in closed form."""

    def value(self, critic: Parameters, obs: Tensor, action: Tensor) -> Tensor:
        if critic is self.state["target_critic"]:
            return 10 + obs.sum(dim=1, keepdim=True)
        return super().value(critic, obs, action)


# Bootstrapped: 3 + 0.5 * (10 + 10 * 2).
@pytest.mark.parametrize(
    ("terminated", "truncated", "target"), [(False, True, 18.0), (True, False, 3.0), (True, True, 3.0)]
)
def test_a_truncated_episode_is_bootstrapped_from_and_a_terminated_one_is_not(
    terminated: bool, truncated: bool, target: float
) -> None:
    learner = Recorder(REACHER, DDPGProjectionConfig(hidden=(8,), warmup=1, batch_size=4, replay_size=4, gamma=0.5), 0)
    obs, action = torch.ones((1, 10), dtype=torch.float64), torch.zeros((1, 2), dtype=torch.float64)
    learner.observe(Transition(obs, action, action, 3.0, 2 * obs, terminated, truncated))
    value = learner.value(learner.state["critic"], obs.float(), action.float())
    assert learner.update()["critic_loss"] == pytest.approx((float(value) - target) ** 2, rel=1e-5)


def test_warm_up_actions_are_uniform_on_the_box_and_no_policy_is_judged() -> None:
    learner = make_learner(task="BSS-3")
    policy, behaviour = learner.act_pair(observations(learner.task, 2000))
    assert policy is None
    assert behaviour.min() >= 0
    assert behaviour.max() <= 35
    torch.testing.assert_close(behaviour.mean(dim=0), torch.full((3,), 17.5), atol=1.0, rtol=0)


def test_warm_up_actions_may_be_uniform_on_the_feasible_set() -> None:
    learner = make_learner(warmup_actions="feasible")
    obs = observations(learner.task, 4000)
    policy, behaviour = learner.act_pair(obs)
    assert policy is None
    assert learner.task.constraint.contains(behaviour, obs).all()
    # Half the disc of squared radius 0.05 lies within a squared radius of 0.025.
    assert (behaviour.square().sum(dim=1) < 0.025).double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_warm_up_actions_may_be_those_of_uniform_latents() -> None:
    learner = make_learner("flowpg-gauge", warmup_actions="latent")
    assert isinstance(learner, FlowPGGauge)
    obs = observations(learner.task, 4000)
    policy, behaviour = learner.act_pair(obs)
    assert policy is None
    latents, _ = learner.trained_flow().inverse(behaviour, learner.task.constraint.context(obs))
    assert latents.abs().max() < 1 + 1e-4
    quarters = torch.tensor([-0.5, 0.0, 0.5], dtype=latents.dtype)
    torch.testing.assert_close(
        latents.quantile(torch.tensor([0.25, 0.5, 0.75], dtype=latents.dtype), dim=0),
        quarters[:, None].expand(3, 2),
        atol=0.05,
        rtol=0,
    )


def test_a_learner_without_latents_refuses_to_draw_them() -> None:
    message = "method 'drad' has no latents to draw: set warmup_actions to box or feasible"
    with pytest.raises(UserError, match=message):
        make_method("drad", REACHER, {"warmup_actions": "latent"})


@pytest.mark.parametrize(
    ("method", "setting", "value"),
    [("td3-gauge", "target", "head"), ("ddpg-gauge", "noise_at", "output"), ("flowpg", "noise_at", "output")],
)
def test_a_learner_whose_outputs_stand_for_no_action_refuses_to_treat_them_as_one(
    method: str, setting: str, value: str
) -> None:
    with pytest.raises(UserError, match=f"method '{method}' has outputs that are not actions: set {setting} to"):
        make_method(method, REACHER, {setting: value})


def test_after_the_warm_up_exploration_is_the_policy_with_noise() -> None:
    learner = make_learner(noise=0.3)
    feed(learner, SMALL["warmup"])
    policy, behaviour = learner.act_pair(observations(learner.task, 5000))
    assert policy is not None
    assert (behaviour - policy).std().item() == pytest.approx(0.3, rel=0.05)
    assert torch.equal(policy, learner.act(observations(learner.task, 5000), explore=False))


def test_it_solves_a_bandit() -> None:
    task = bandit_task()
    learner = make_method("ddpg-projection", task, {**SMALL, "batch_size": 64, "replay_size": 2000, "warmup": 200})
    assert error_after(learner, 800) < 0.05


# --- state and settings ---------------------------------------------------------------------------------------------


def test_a_learner_without_transitions_does_not_learn_from_nothing() -> None:
    saved, loaded = make_learner(), make_learner()
    feed(saved, 30)
    loaded.load_state_dict(saved.state_dict())
    assert loaded.update() == {}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state.pop("steps"),
        lambda state: state.update({"critic.1": torch.zeros(3)}),
        lambda state: state.update({"noise_generator": torch.zeros(3)}),
        lambda state: state.update({"actor.first.0": torch.zeros(())}),
    ],
)
def test_a_damaged_state_is_refused(spoil: Any) -> None:
    learner = make_learner()
    state = learner.state_dict()
    spoil(state)
    with pytest.raises(UserError, match="does not belong to"):
        learner.load_state_dict(state)


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        ({"gamma": float("nan")}, "gamma"),
        ({"hidden": [16, 0]}, "hidden.1"),
        ({"gama": 0.9}, "gama"),
        ({"flow": {"kind": "glow"}}, "flow.kind"),
    ],
)
def test_a_bad_setting_is_named(config: dict[str, Any], setting: str) -> None:
    with pytest.raises(UserError, match=f"config of method 'flowpg', setting '{setting}'"):
        make_method("flowpg", REACHER, config)


# --- DDPG+projection and DDPG-penalty -------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["R+L2", "HC+O", "H+M", "BSS-3"])
def test_both_solvers_execute_the_same_actions(task: str) -> None:
    learner = make_learner("ddpg-projection", task, noise=0.5)
    feed(learner, 30)
    for obs in observations(learner.task, 20).split(1):
        asked = learner.act(obs, explore=True).double()
        executed = []
        for solver in ("exact", "cvxpy"):
            solves = make_method("ddpg-projection", learner.task, settings("", solver=solver)).projection_solver
            clock = Clock()
            executed.append(Repair(learner.task.constraint, solves, clock, Meter(clock))(asked, obs))
        # As near as the solver comes at its default settings.
        torch.testing.assert_close(*executed, atol=1e-5, rtol=1e-6)


# The distance is 0.5, of a 3-4-5 triangle.
@pytest.mark.parametrize(
    ("behaviour", "executed", "reward"), [([0.3, 0.5], [0.0, 0.1], 0.0), ([0.1] * 2, [0.1] * 2, 1.0)]
)
def test_the_reward_falls_by_lambda_times_the_distance(
    behaviour: list[float], executed: list[float], reward: float
) -> None:
    learner = make_learner("ddpg-penalty", penalty=2.0)
    obs = torch.zeros((1, 10))
    learner.observe(Transition(obs, torch.tensor([behaviour]), torch.tensor([executed]), 1.0, obs, False, False))
    assert learner.replay.sample(1, torch.Generator()).reward.item() == pytest.approx(reward, abs=1e-6)
