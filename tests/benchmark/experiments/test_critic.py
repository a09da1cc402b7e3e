"""What a critic believes next to what came of it (X1), against closed forms."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.experiments.x1 import METHODS, UNITS, bootstrapped, look, rollout
from envs.seeding import derive_seed
from tests.benchmark.experiments.conftest import numbers
from tests.methods.learners import make_learner, observations

GAMMA = 0.9


@pytest.mark.parametrize("method", ["ddpg-projection", "dpro"])
def test_values_are_what_the_method_bootstraps_with(method: str) -> None:
    agent = make_learner(method)
    obs, action = observations(agent.task, 5).float(), torch.zeros(5, 2)
    networks = [agent.state["critic"]] if method == "ddpg-projection" else halves(agent.state["critics"])
    each = torch.cat([agent.value(network, obs, action) for network in networks], dim=1)
    assert torch.equal(bootstrapped(agent, obs, action), each.min(dim=1).values.double())


def halves(critics: list[torch.Tensor]) -> list[list[torch.Tensor]]:
    return [critics[: len(critics) // 2], critics[len(critics) // 2 :]]


def test_returns_are_those_of_episodes_without_a_time_limit() -> None:
    agent = make_learner("ddpg-projection", "R+L2", gamma=GAMMA)
    usual = agent.task.max_episode_steps
    obs, returns, total = rollout(agent.task, agent, usual, seed=3)
    horizon = 500
    rewards = []
    with closing(agent.task.make_env(max_episode_steps=horizon)) as env:
        observation, _ = env.reset(seed=derive_seed(3, "episode", 0))
        for step in range(horizon):
            if step < usual:
                assert np.array_equal(obs[step].numpy(), observation)
            seen = agent.task.observed(observation)[None]
            action = agent.task.constraint.project(agent.policy(seen.float()).double(), seen)
            observation, reward, *_ = env.step(action[0].detach().numpy())
            rewards.append(float(reward))
    assert total == pytest.approx(sum(rewards[:usual]))
    for start, value in enumerate(returns.tolist()):
        # What was not foreseen weighs 1%.
        assert value == pytest.approx(sum(GAMMA**k * reward for k, reward in enumerate(rewards[start:])), rel=0.02)


def test_states_after_the_time_limit_do_not_count_though_the_episode_ends_there() -> None:
    agent = make_learner("ddpg-projection", "H+M", gamma=GAMMA)
    task = replace(agent.task, max_episode_steps=3)
    obs, _, _ = rollout(task, agent, 6, seed=3)
    with closing(task.make_env()) as env:
        for episode in range(2):
            start, _ = env.reset(seed=derive_seed(3, "episode", episode))
            assert np.array_equal(obs[3 * episode].numpy(), start)


def test_a_critic_of_one_value_is_above_the_return_by_the_same_everywhere() -> None:
    agent = make_learner("ddpg-projection", "R+L2", gamma=GAMMA)
    for parameter in agent.state["critic"]:
        parameter.zero_()
    agent.state["critic"][-1].fill_(7.0)
    # An actor beyond the disc: its outputs are infeasible, and at the end of the tanh.
    *_, weight, bias = agent.state["actor"]
    weight.zero_()
    bias.fill_(20.0)
    found = look(agent.task, agent, 0, states=120)
    assert found.keys() == UNITS.keys()
    over = [found[f"value above return, {kind}"] for kind in ("raw", "projected", "executed")]
    assert over == pytest.approx([7.0 - found["discounted return"]] * 3)
    assert (found["infeasible share"], found["saturated share"]) == (1.0, 1.0)
    assert found["distance"] == pytest.approx(2**0.5 - 0.05**0.5, rel=1e-5)


def test_x1_has_every_row_along_training(place: Path) -> None:
    found = numbers(place, "x1")
    assert list(found["method"].unique()) == list(METHODS)
    assert set(found["quantity"]) == set(UNITS)
    assert found.groupby("method")["step"].nunique().eq(2).all()
    assert found[found["unit"] == "share"]["value"].between(0, 1).all()
