"""Algorithms of stable-baselines3 behind the contract: exact against the plain ones, and what is not conformance's."""

from __future__ import annotations

import copy
import subprocess
import sys
from functools import partial
from typing import Any, TypeAlias

import gymnasium
import numpy as np
import pytest
import torch

from envs import UserError, make_task
from envs.registry import TaskSpec
from methods.base import Transition
from methods.stable_baselines3 import NoisyConfig, OffPolicyConfig, StableBaselines3
from methods.streams import Streams
from tests.benchmark.command import ROOT
from tests.methods.bandit import bandit_task, error_after
from tests.methods.learners import SMALL, copy_of, equal, feed, make_learner, observations, transitions

REACHER = make_task("R+L2")


class TD3(StableBaselines3[NoisyConfig]):
    """What somebody else would write for an algorithm that is not shipped: that of docs/methods.md."""

    id = "td3-three-steps"
    Config = NoisyConfig

    def algorithm(self) -> Any:
        import stable_baselines3

        return stable_baselines3.TD3

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"n_steps": 3}


class SAC(StableBaselines3[OffPolicyConfig]):
    """The same for a policy that is sampled."""

    id = "sb3-sac"
    Config = OffPolicyConfig

    def algorithm(self) -> Any:
        import stable_baselines3

        return stable_baselines3.SAC


Kind: TypeAlias = type[TD3] | type[SAC]
EVERY_KIND = pytest.mark.parametrize("kind", [TD3, SAC])


def make(kind: Kind, task: TaskSpec = REACHER, seed: int = 0, **changes: Any) -> StableBaselines3[Any]:
    """A small learner."""
    return kind(task, kind.Config(**{**SMALL, **changes}), seed)


def trained(kind: Kind, updates: int = 5, **changes: Any) -> StableBaselines3[Any]:
    learner = make(kind, **changes)
    feed(learner, 30)
    for _ in range(updates):
        learner.update()
    return learner


# --- against stable-baselines3 itself -------------------------------------------------------------------------------


class Recorder(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps what the environment was asked and what it answered."""

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.seen: list[Transition] = []

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        self.last, info = self.env.reset(**options)
        return self.last, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self.env.step(action)
        before, asked, after = (torch.as_tensor(row, dtype=torch.float64)[None] for row in (self.last, action, obs))
        self.seen.append(Transition(before, asked, asked, float(reward), after, terminated, truncated))
        self.last = obs
        return obs, reward, terminated, truncated, info


def learnt_by_itself(kind: Kind, task: TaskSpec, steps: int) -> tuple[Any, Recorder]:
    """The algorithm as its package would have it used, on the environment itself."""
    import stable_baselines3

    algorithm: Any = {TD3: partial(stable_baselines3.TD3, n_steps=3), SAC: stable_baselines3.SAC}[kind]
    env = Recorder(task.make_env())
    with Streams(5).lent():
        chosen: dict[str, Any] = {"learning_rate": 1e-3, "batch_size": 8, "buffer_size": 200, "learning_starts": 60}
        model = algorithm("MlpPolicy", env, policy_kwargs={"net_arch": [16, 16]}, device="cpu", **chosen)
        model.learn(steps)
    env.close()
    return model, env


@pytest.mark.parametrize("task_id", ["R+L2", "H+M"])
@EVERY_KIND
def test_it_computes_what_the_plain_algorithm_computes(kind: Kind, task_id: str) -> None:
    task = make_task(task_id)
    plain, env = learnt_by_itself(kind, task, 120)
    learner = make(kind, task, actor_lr=1e-3, critic_lr=1e-3)
    for transition in env.seen:
        learner.observe(transition)
    ends = {(transition.terminated, transition.truncated) for transition in env.seen}
    assert ends == {(False, False), (False, True) if task_id == "R+L2" else (True, False)}
    ours: Any = learner.model.replay_buffer
    for name in ("observations", "next_observations", "rewards", "dones", "timeouts"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(plain.replay_buffer, name).astype(np.float32))
    # What the plain algorithm asks for it stores before it is scaled to the environment's units and back.
    np.testing.assert_allclose(ours.actions, plain.replay_buffer.actions, atol=1e-6)
    ours.actions[:] = plain.replay_buffer.actions

    parts = learner._parts()
    for name, state in copy.deepcopy(plain.get_parameters()).items():
        parts[name].load_state_dict(state)
    if kind is SAC:
        parts["log_ent_coef"].data.copy_(plain.log_ent_coef)
    learner.model._n_updates = plain._n_updates
    obs = observations(task, 5)
    asked = torch.as_tensor(plain.predict(obs.numpy(), deterministic=True)[0])
    assert torch.equal(learner.act(obs, explore=False), asked)
    learner.streams = Streams(9)
    before = [value.clone() for value in plain.policy.parameters()]
    with Streams(9).lent():
        for _ in range(6):
            plain.train(gradient_steps=1, batch_size=8)
    for _ in range(6):
        learner.update()
    expected = list(plain.policy.parameters())
    assert not equal(before, expected)
    assert equal(list(learner.model.policy.parameters()), expected)
    if kind is SAC:
        assert torch.equal(parts["log_ent_coef"], plain.log_ent_coef)


def test_executed_actions_and_scaled_observations_are_stored() -> None:
    task = make_task("BSS-3")
    learner = make(SAC, task)
    ddpg = make_learner("ddpg-projection", "BSS-3")
    seen = transitions(task, 6)
    for transition in seen:
        learner.observe(transition)
    replay: Any = learner.model.replay_buffer
    for row, transition in enumerate(seen):
        assert not torch.equal(transition.action, transition.behaviour)
        np.testing.assert_allclose(replay.actions[row, 0], transition.action[0] / 17.5 - 1, atol=1e-6)
        np.testing.assert_array_equal(replay.observations[row], ddpg.scale_obs(transition.obs))


def test_what_comes_out_of_an_update_is_of_that_update() -> None:
    learner = trained(TD3, updates=0)
    assert [sorted(learner.update()) for _ in range(3)] == [
        ["critic_loss"],
        ["actor_loss", "critic_loss"],
        ["critic_loss"],
    ]
    losses = trained(SAC, updates=0).update()
    assert set(losses) == {"critic_loss", "actor_loss", "ent_coef", "ent_coef_loss"}


# --- randomness and state -------------------------------------------------------------------------------------------


# Run in a process of its own, where nothing was imported before.
FIRST = """
import sys
from tests.methods.global_generators import global_states
from tests.methods.test_stable_baselines3 import SAC, trained

assert "stable_baselines3" not in sys.modules, "imported with the adapter"
before = global_states()
first, second = (trained(SAC).state_dict() for _ in range(2))
different = [name for name in first if not first[name].equal(second[name])]
assert not different, different
assert global_states() == before, "global generators"
"""


def test_the_first_learner_of_a_process_is_as_the_second() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("replay_size", [20, 200])
@EVERY_KIND
def test_a_loaded_checkpoint_goes_on_as_if_nothing_had_happened(kind: Kind, replay_size: int) -> None:
    saved = trained(kind, updates=3, replay_size=replay_size)
    loaded = make(kind, seed=2, replay_size=replay_size)
    state = {name: value.clone() for name, value in saved.checkpoint_dict().items()}
    assert len(state["replay.actions"]) == min(30, replay_size)
    loaded.load_checkpoint_dict(state)
    obs = observations(saved.task, 4)
    for learner in (saved, loaded):
        feed(learner, 7, seed=5)
    for _ in range(3):
        assert torch.equal(saved.act(obs, explore=True), loaded.act(obs, explore=True))
        assert saved.update() == loaded.update()
    assert equal(copy_of(saved), copy_of(loaded))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("policy.critic.qf0.0.bias", "does not belong to method 'td3-three-steps' on R"),
        ("streams.torch", "does not belong to"),
        ("replay.actions", "replay buffer does not fit method 'td3-three-steps'"),
        ("replay.position", "replay buffer does not fit"),
    ],
)
def test_a_damaged_checkpoint_is_refused(name: str, message: str) -> None:
    state = trained(TD3).checkpoint_dict()
    state[name] = torch.zeros((7, 1, 3))
    with pytest.raises(UserError, match=f"^[^\n]*{message}[^\n]*$"):
        make(TD3).load_checkpoint_dict(state)


# --- what is refused, and what is learnt ------------------------------------------------------------------------------


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "stable_baselines3"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    with pytest.raises(UserError, match="method 'td3-three-steps' needs the package 'stable_baselines3', which is not"):
        make(TD3)


class Unfit(StableBaselines3[OffPolicyConfig]):
    id = "unfit"
    Config = OffPolicyConfig
    name = "PPO"

    def algorithm(self) -> Any:
        import stable_baselines3

        return getattr(stable_baselines3, self.name)


class WithSDE(Unfit):
    name = "SAC"

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"use_sde": True}


def test_what_cannot_be_adapted_is_refused() -> None:
    for kind, reason in (
        (Unfit, "PPO is not an off-policy algorithm"),
        (WithSDE, "state-dependent exploration is not"),
    ):
        with pytest.raises(UserError, match=f"method 'unfit': {reason}"):
            kind(REACHER, OffPolicyConfig(), 0)


@EVERY_KIND
def test_it_solves_a_bandit(kind: Kind) -> None:
    task = bandit_task()
    rates = {"actor_lr": 3e-3, "critic_lr": 3e-3}
    learner = make(kind, task, batch_size=64, replay_size=2000, warmup=200, **rates)
    assert error_after(learner, 800) < 0.05
