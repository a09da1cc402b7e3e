"""Our learners behind every head: one update is one pure function, which learns the same for seeds side by side."""

from __future__ import annotations

import pytest
import torch

from benchmark.records.config import load_params, run_config
from envs import UserError, make_task
from methods import list_methods, make_method
from methods.base import method_class
from methods.functional import IN_PLACE
from methods.learner import Learner
from tests.benchmark.command import PARAMS
from tests.methods.bandit import bandit_task, error_after
from tests.methods.learners import SMALL, feed, observations, settings

ROWS = [id for id in list_methods() if issubclass(method_class(id), Learner)]
UPDATES = 100


def learner(method: str, task: str, seed: int) -> Learner:
    made = make_method(method, make_task(task), settings(method), seed)
    made.prepare()
    feed(made, 60, seed)
    return made


def stack(*trees):
    return torch.utils._pytree.tree_map(lambda *tensors: torch.stack(tensors), *trees)


@pytest.mark.parametrize("task", ["HC+O", "BSS-3"])
@pytest.mark.parametrize("method", ROWS)
def test_seeds_side_by_side_learn_what_each_learns_alone(method: str, task: str) -> None:
    seeds = [learner(method, task, seed) for seed in range(3)]
    stacked = stack(*(one.state for one in seeds))
    for turn in range(1, UPDATES + 1):
        drawn = [(one.replay.sample(8, one.replay_generator), one.draw_noise(8)) for one in seeds]
        batch, noise = stack(*drawn)

        def update(state, batch, noise, turn=turn):
            return seeds[0].update_state(state, batch, noise, turn)

        stacked, _ = torch.func.vmap(update)(stacked, batch, noise)
        for one, (own_batch, own_noise) in zip(seeds, drawn, strict=True):
            one.state, _ = one.update_state(one.state, own_batch, own_noise, turn, IN_PLACE)
    for k, one in enumerate(seeds):
        for name, tensors in one.state.items():
            for index, tensor in enumerate(tensors):
                torch.testing.assert_close(stacked[name][index][k], tensor, atol=1e-5, rtol=1e-5)


# One graph where no constraint is asked: torch.compile breaks the others at its calls.
@pytest.mark.parametrize(
    ("method", "whole"),
    [("ddpg-projection", True), ("dpro", True), ("spre", True), ("flowpg", True), ("dopt", False), ("salpha", False)],
)
def test_compiled_it_learns_the_same(method: str, whole: bool) -> None:
    seeds = [learner(method, "HC+O", seed) for seed in range(2)]
    drawn = [(one.replay.sample(8, one.replay_generator), one.draw_noise(8)) for one in seeds]
    state, (batch, noise) = stack(*(one.state for one in seeds)), stack(*drawn)
    update = torch.func.vmap(lambda *given: seeds[0].update_state(*given, 2))
    torch.compiler.reset()
    after, _ = torch.compile(update, backend="aot_eager", fullgraph=whole)(state, batch, noise)
    torch.testing.assert_close(after, update(state, batch, noise)[0])


@pytest.mark.parametrize("method", ["ddpg-gauge", "dpro", "salpha", "aram"])
def test_a_policy_is_the_actor_alone(method: str) -> None:
    trained = learner(method, "HC+O", 0)
    trained.update()
    fresh = make_method(method, trained.task, settings(method), 1)
    obs = observations(trained.task, 5)
    assert not torch.equal(fresh.act(obs, explore=False), trained.act(obs, explore=False))
    policy = trained.policy_dict()
    assert len(policy) == len(trained.state["actor"])
    fresh.load_policy_dict(policy)
    assert torch.equal(fresh.act(obs, explore=False), trained.act(obs, explore=False))
    with pytest.raises(UserError, match=f"does not belong to method '{method}' on R\\+L2"):
        make_method(method, make_task("R+L2"), settings(method)).load_policy_dict(policy)


# Of each learner, one behind no head and one behind one.
@pytest.mark.parametrize("method", ["dpro", "drad", "sac-projection", "salpha"])
def test_it_solves_a_bandit(method: str) -> None:
    task = bandit_task()
    changes = {"actor_lr": 3e-3, "critic_lr": 3e-3, "batch_size": 64, "replay_size": 2000, "warmup": 200}
    assert error_after(make_method(method, task, SMALL | changes), 800) < 0.05


def test_sac_refuses_a_head_without_a_density() -> None:
    with pytest.raises(UserError, match="'head': Input should be 'identity', 'alpha', 'radial' or 'gauge'"):
        make_method("sac-projection", make_task("R+L2"), {"head": "projection"})


def test_the_tasks_settings_reach_them() -> None:
    params = load_params(PARAMS)
    td3, sac = (run_config(params, "paper", "R+L2", method).method for method in ("dpro", "sac-projection"))
    assert (td3["gamma"], td3["replay_size"], td3["hidden"], td3["noise"]) == (0.98, 200_000, [400, 300], 0.1)
    assert (sac["gamma"], sac["replay_size"], sac["hidden"]) == (0.98, 200_000, [256, 256])
    td3, sac = (run_config(params, "paper", "BSS-5", method).method for method in ("dpro", "sac-projection"))
    assert (td3["noise"], td3["tau"], td3["actor_lr"], td3["critic_lr"], td3["batch_size"]) == (5, 1e-3, 1e-4, 1e-3, 64)
    assert (sac["tau"], sac["actor_lr"], sac["critic_lr"], sac["batch_size"]) == (1e-3, 1e-4, 3e-4, 64)
