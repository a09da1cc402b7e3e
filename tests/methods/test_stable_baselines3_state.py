"""Adapted algorithms: exact against the plain ones, their randomness, and what is saved of them."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor

from envs import UserError, make_task
from envs.registry import TaskSpec
from methods.base import Transition
from methods.streams import Streams
from tests.benchmark.command import ROOT
from tests.methods.adapted import KINDS, make, trained
from tests.methods.learners import ADAPTED, copy_of, equal, feed, observations

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


def learnt_by_itself(kind: str, task: TaskSpec, steps: int) -> tuple[Any, Recorder]:
    """The algorithm as its package would have it used, on the environment itself."""
    import stable_baselines3

    algorithm = {"td3-projection": stable_baselines3.TD3, "sac-projection": stable_baselines3.SAC}[kind]
    env = Recorder(task.make_env())
    with Streams(5).lent():
        chosen: dict[str, Any] = {"learning_rate": 1e-3, "batch_size": 8, "buffer_size": 200, "learning_starts": 60}
        model = algorithm("MlpPolicy", env, policy_kwargs={"net_arch": [16, 16]}, device="cpu", **chosen)
        model.learn(steps)
    env.close()
    return model, env


@pytest.mark.parametrize("task_id", ["R+L2", "H+M"])
@pytest.mark.parametrize("kind", ADAPTED)
def test_it_computes_what_the_plain_algorithm_computes(kind: str, task_id: str) -> None:
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

    for name, state in copy.deepcopy(plain.get_parameters()).items():
        part = learner._parts()[name]
        part.load_state_dict(state)
    if kind == "sac-projection":
        learner._parts()["log_ent_coef"].data.copy_(plain.log_ent_coef)
    learner.model._n_updates = plain._n_updates
    obs = observations(task, 5)
    assert torch.equal(
        learner.act(obs, explore=False), torch.as_tensor(plain.predict(obs.numpy(), deterministic=True)[0])
    )
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
    if kind == "sac-projection":
        assert torch.equal(learner._parts()["log_ent_coef"], plain.log_ent_coef)


# --- randomness -----------------------------------------------------------------------------------------------------


# Run in a process of its own, where nothing was imported before.
FIRST = """
import sys
from methods import list_methods
from tests.methods.global_generators import global_states

assert {kinds} <= set(list_methods())
assert "stable_baselines3" not in sys.modules, "listed with the package"
before = global_states()

from tests.methods.adapted import trained

first, second = (trained("sac-projection").state_dict() for _ in range(2))
different = [name for name in first if not first[name].equal(second[name])]
assert not different, different
assert global_states() == before, "global generators"
"""


def test_the_first_learner_of_a_process_is_as_the_second() -> None:
    program = FIRST.format(kinds=set(ADAPTED))
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# --- state ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_checkpoint_goes_on_as_if_nothing_had_happened(kind: str, full: bool) -> None:
    saved = trained(kind, updates=3, replay_size=20 if full else 200)
    loaded = make(kind, seed=2, replay_size=20 if full else 200)
    state = {name: value.clone() for name, value in saved.checkpoint_dict().items()}
    assert len(state["replay.actions"]) == (20 if full else 30)
    loaded.load_checkpoint_dict(state)
    obs = observations(saved.task, 4)
    for learner in (saved, loaded):
        feed(learner, 7, seed=5)
    for _ in range(3):
        assert torch.equal(saved.act(obs, explore=True), loaded.act(obs, explore=True))
        assert saved.update() == loaded.update()
    assert equal(copy_of(saved), copy_of(loaded))


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("_n_updates", None),
        ("policy.actor.mu.0.weight", None),
        ("policy.critic.qf0.0.bias", torch.zeros(3)),
        ("noise_generator", torch.zeros(3)),
        ("streams.torch", torch.zeros(3)),
        ("streams.numpy", torch.zeros(3)),
        ("streams.python", None),
        ("actor.optimizer.first.step", torch.zeros(())),
    ],
)
def test_a_damaged_state_is_refused(change: str, value: Tensor | None) -> None:
    learner = trained("td3-projection")
    state = learner.state_dict()
    state.pop(change, None)
    if value is not None:
        state[change] = value
    with pytest.raises(UserError, match="does not belong to method 'td3-projection' on R") as caught:
        learner.load_state_dict(state)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["replay.actions", "replay.position"])
def test_a_damaged_buffer_is_refused(name: str) -> None:
    learner = trained("td3-projection")
    state = learner.checkpoint_dict()
    state[name] = torch.zeros((7, 1, 3))
    with pytest.raises(UserError, match="replay buffer does not fit method 'td3-projection'"):
        make("td3-projection").load_checkpoint_dict(state)
