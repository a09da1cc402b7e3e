"""Our learners against stable-baselines3's: from the same networks, batches and noise to the same networks."""

from __future__ import annotations

from typing import Any

import pytest
import stable_baselines3
import torch
from stable_baselines3.common.buffers import ReplayBufferSamples
from torch import Tensor

from envs import make_task
from methods import make_method
from methods.functional import Parameters
from methods.learner import Learner
from methods.replay import Batch
from methods.streams import Streams
from tests.methods.learners import SMALL, feed

TASK = make_task("R+N")
RATE, BATCH, UPDATES = 1e-3, 32, 20
# Method and algorithm. What is not given here is by default the same.
PAIRS = {"ddpg-projection": "DDPG", "dpro": "TD3", "sac-projection": "SAC"}


def layers(model: Any) -> dict[str, Parameters]:
    """The parameters of stable-baselines3's networks, under our names and in our order."""
    actor = list(model.actor.parameters())
    if isinstance(model, stable_baselines3.SAC):
        # Its mean and deviation are two layers, ours are one.
        *hidden, weight, bias, other_weight, other_bias = actor
        actor = [*hidden, torch.cat([weight, other_weight]), torch.cat([bias, other_bias])]
        networks = {"actor": actor, "log_temperature": [model.log_ent_coef]}
    else:
        networks = {"actor": actor, "target_actor": list(model.actor_target.parameters())}
    critics = "critic" if isinstance(model, stable_baselines3.DDPG) else "critics"
    networks |= {critics: list(model.critic.parameters())}
    return networks | {f"target_{critics}": list(model.critic_target.parameters())}


def noise_of(model: Any) -> tuple[Tensor, ...]:
    """The standard normal numbers that its next update draws from torch's global generator."""
    shape = (BATCH, TASK.constraint.dim)
    if isinstance(model, stable_baselines3.SAC):
        return torch.normal(torch.zeros(shape), 1.0), torch.normal(torch.zeros(shape), 1.0)
    if isinstance(model, stable_baselines3.DDPG):
        return ()
    return (torch.empty(shape).normal_(0, model.target_policy_noise) / model.target_policy_noise,)


def made(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Learner[Any], Any, list[Batch]]:
    """Both learners with the same networks, and the batches that stable-baselines3's will draw."""
    rates = {"actor_lr": RATE, "critic_lr": RATE, "batch_size": BATCH, "gamma": 0.98, "tau": 0.05}
    ours = make_method(name, TASK, {**SMALL, **rates}, 0)
    assert isinstance(ours, Learner)
    feed(ours, 150)
    arguments = {"learning_rate": RATE, "batch_size": BATCH, "gamma": 0.98, "tau": 0.05, "device": "cpu"}
    algorithm = getattr(stable_baselines3, PAIRS[name])
    with Streams(0).lent():
        model = algorithm("MlpPolicy", TASK.make_env(), policy_kwargs={"net_arch": list(SMALL["hidden"])}, **arguments)
        model._setup_learn(1)
    for network, parameters in layers(model).items():
        ours.state[network] = [parameter.detach().clone() for parameter in parameters]
    batches = [ours.replay.sample(BATCH, ours.replay_generator) for _ in range(UPDATES)]
    turns = iter(batches)

    def sample(count: int, env: Any) -> ReplayBufferSamples:
        del count, env
        batch = next(turns)
        return ReplayBufferSamples(batch.obs, batch.action, batch.next_obs, batch.terminated, batch.reward)

    monkeypatch.setattr(model.replay_buffer, "sample", sample)
    return ours, model, batches


@pytest.mark.parametrize("name", PAIRS)
def test_an_update_is_that_of_stable_baselines3(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, model, batches = made(name, monkeypatch)
    for turn, batch in enumerate(batches, start=1):
        with Streams(turn).lent():
            noise = noise_of(model)
        with Streams(turn).lent():
            model.train(gradient_steps=1, batch_size=BATCH)
        ours.state, _ = ours.update_state(ours.state, batch, noise, turn)
    # Its SAC adds 1e-6 to a derivative before it takes the logarithm.
    near = 1e-5 if PAIRS[name] == "SAC" else 1e-6
    for network, parameters in layers(model).items():
        for expected, found in zip(parameters, ours.state[network], strict=True):
            torch.testing.assert_close(found, expected.detach(), atol=near, rtol=1e-5, check_dtype=False)
