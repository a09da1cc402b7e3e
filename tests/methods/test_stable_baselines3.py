"""Algorithms of stable-baselines3 behind the contract."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.records.config import load_params, run_config
from envs import UserError, make_task
from envs.registry import TaskSpec
from methods.base import Transition
from methods.stable_baselines3 import OffPolicyConfig, StableBaselines3
from tests.benchmark.command import PARAMS
from tests.methods.adapted import KINDS, REACHER, make, trained
from tests.methods.bandit import bandit_task, error_after
from tests.methods.learners import copy_of, equal, feed, make_learner, observations, transitions

# --- the contract ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task_id", ["R+L2", "HC+O", "BSS-3"])
@pytest.mark.parametrize("kind", KINDS)
def test_actions_are_in_the_environments_units(kind: str, task_id: str) -> None:
    task = make_task(task_id)
    learner = trained(kind, task=task)
    constraint = task.constraint
    obs = observations(task, 50)
    policy, behaviour = learner.act_pair(obs)
    assert policy is not None
    lower, upper = torch.as_tensor(constraint.lower), torch.as_tensor(constraint.upper)
    assert bool(((policy >= lower) & (policy <= upper)).all())
    assert torch.equal(policy, learner.act(obs, explore=False))
    assert not torch.equal(policy, behaviour)
    torch.testing.assert_close(learner.act(obs[7:8], explore=False), policy[7:8])


@pytest.mark.parametrize("kind", KINDS)
def test_the_warm_ups_actions_are_those_of_ddpg(kind: str) -> None:
    task = make_task("BSS-3")
    obs = observations(task, 5)
    for _ in range(2):
        policy, behaviour = make(kind, task, seed=3).act_pair(obs)
        assert policy is None
        assert torch.equal(behaviour, make_learner("ddpg-projection", "BSS-3", seed=3).act_pair(obs)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_from_the_end_of_the_warm_up_on(kind: str) -> None:
    learner = make(kind)
    before = copy_of(learner)[2:]
    feed(learner, 19)
    assert learner.update() == {}
    assert equal(before, copy_of(learner)[2:])
    feed(learner, 1)
    losses = learner.update()
    assert losses
    assert all(type(value) is float and math.isfinite(value) for value in losses.values())
    assert not equal(before, copy_of(learner)[2:])


def test_what_comes_out_of_an_update_is_of_that_update() -> None:
    learner = trained("td3-projection", updates=0)
    assert [set(learner.update()) for _ in range(3)] == [
        {"critic_loss"},
        {"critic_loss", "actor_loss"},
        {"critic_loss"},
    ]
    assert set(trained("sac-projection", updates=0).update()) == {
        "critic_loss",
        "actor_loss",
        "ent_coef",
        "ent_coef_loss",
    }


def test_a_deterministic_policy_explores_by_noise_in_the_environments_units() -> None:
    learner = trained("td3-projection", task=make_task("BSS-3"), noise=5.0)
    policy, behaviour = learner.act_pair(observations(learner.task, 2000))
    assert (behaviour - policy).std().item() == pytest.approx(5.0, rel=0.05)


# --- what is stored -------------------------------------------------------------------------------------------------


def test_executed_actions_and_scaled_observations_are_stored() -> None:
    task = make_task("BSS-3")
    learner = make("sac-projection", task)
    ddpg = make_learner("ddpg-projection", "BSS-3")
    seen = transitions(task, 6)
    for transition in seen:
        learner.observe(transition)
    replay = learner.model.replay_buffer
    assert replay is not None
    for row, transition in enumerate(seen):
        assert not torch.equal(transition.action, transition.behaviour)
        np.testing.assert_allclose(replay.actions[row, 0], transition.action[0] / 17.5 - 1, atol=1e-6)
        np.testing.assert_array_equal(replay.observations[row], ddpg.scale_obs(transition.obs))
        np.testing.assert_array_equal(replay.next_observations[row], ddpg.scale_obs(transition.next_obs))
        assert replay.rewards[row, 0] == np.float32(transition.reward)


@pytest.mark.parametrize(
    ("terminated", "truncated", "bootstrapped"),
    [(False, False, True), (False, True, True), (True, False, False), (True, True, False)],
)
def test_what_is_bootstrapped_from(terminated: bool, truncated: bool, bootstrapped: bool) -> None:
    learner = make("td3-projection", warmup=1, gamma=0.5, target_noise=0.0)
    obs = torch.ones((1, 10), dtype=torch.float64)
    action = torch.full((1, 2), 0.1, dtype=torch.float64)
    learner.observe(Transition(obs, 2 * action, action, 3.0, 2 * obs, terminated, truncated))
    policy: Any = learner.model.policy
    with torch.no_grad():
        following = policy.critic_target(2 * obs.float(), policy.actor_target(2 * obs.float()))
        target = 3.0 + 0.5 * bootstrapped * torch.cat(following).min()
        values = policy.critic(obs.float(), action.float())
        expected = sum(float((value - target).square()) for value in values)
    assert learner.update()["critic_loss"] == pytest.approx(expected, rel=1e-5)


# --- settings -------------------------------------------------------------------------------------------------------


def test_the_tasks_settings_reach_them() -> None:
    params = load_params(PARAMS)
    td3, sac = (run_config(params, "paper", "R+L2", kind).method for kind in ("td3-projection", "sac-projection"))
    assert (td3["gamma"], td3["replay_size"], td3["hidden"], td3["noise"]) == (0.98, 200_000, [400, 300], 0.1)
    assert (sac["gamma"], sac["replay_size"], sac["hidden"]) == (0.98, 200_000, [256, 256])
    td3, sac = (run_config(params, "paper", "BSS-5", kind).method for kind in ("td3-projection", "sac-projection"))
    assert (td3["noise"], td3["tau"], td3["actor_lr"], td3["critic_lr"], td3["batch_size"]) == (5, 1e-3, 1e-4, 1e-3, 64)
    assert (sac["tau"], sac["actor_lr"], sac["critic_lr"], sac["batch_size"]) == (1e-3, 1e-4, 3e-4, 64)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "stable_baselines3"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(UserError, match="method 'td3-projection' needs the package 'stable_baselines3', which is not"):
        make("td3-projection")


class Unfit(StableBaselines3[OffPolicyConfig]):
    id = "unfit"
    Config = OffPolicyConfig
    name = "PPO"

    def algorithm(self) -> Any:
        import stable_baselines3

        return getattr(stable_baselines3, self.name)


def test_what_cannot_be_adapted_is_refused() -> None:
    class WithSDE(Unfit):
        name = "SAC"

        def arguments(self) -> dict[str, Any]:
            return super().arguments() | {"use_sde": True}

    for kind, reason in ((Unfit, "PPO is no off-policy algorithm"), (WithSDE, "state-dependent exploration is not")):
        with pytest.raises(UserError, match=f"method 'unfit': {reason}"):
            kind(REACHER, OffPolicyConfig(), 0)


# --- it learns ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bandit() -> Iterator[TaskSpec]:
    with bandit_task() as task:
        yield task


@pytest.mark.parametrize("kind", KINDS)
def test_it_solves_a_bandit(kind: str, bandit: TaskSpec) -> None:
    rates = {"actor_lr": 3e-3, "critic_lr": 3e-3}
    learner = make(kind, bandit, batch_size=64, replay_size=2000, warmup=200, **rates)
    assert error_after(learner, 800) < 0.05
