"""What ``gymnasium.make`` gives: environments that enforce their constraint on any agent."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.callbacks import BaseCallback

from envs import UserError, make_task
from tests.envs.test_registry import run_python

TASKS = ("HC+O", "R+L2", "HC+R", "BSS-3", "Portfolio", "R+Ring")
JUDGED = {"cost", "violation", "projected_distance", "executed_action"}


def rows(*values: Any) -> list[torch.Tensor]:
    return [torch.as_tensor(value, dtype=torch.float64)[None] for value in values]


@pytest.mark.parametrize("task_id", TASKS)
def test_infeasible_actions_are_projected_and_the_info_says_so(task_id: str) -> None:
    task = make_task(task_id)
    rng = np.random.default_rng(0)
    middle, half = (task.constraint.upper + task.constraint.lower) / 2, (task.constraint.upper - task.constraint.lower)
    with closing(gymnasium.make(task.gym_id)) as env, closing(task.make_env()) as bare:
        obs, _ = env.reset(seed=3)
        bare.reset(seed=3)
        for step in range(20):
            asked = middle + half * rng.uniform(-1, 1, task.constraint.dim)
            if step % 2:
                asked = task.constraint.repair(*rows(asked, obs))[0].numpy()
            action, before = rows(asked, obs)
            obs, reward, *_, info = env.step(asked)
            (executed,) = rows(info["executed_action"])
            assert torch.equal(executed, task.constraint.repair(action, before))
            assert task.constraint.contains(executed, before).all()
            violation = float(task.constraint.violation(action, before).clamp(min=0).sum())
            assert info["violation"] == pytest.approx(violation, rel=1e-12)
            assert info["cost"] == float(violation > 0)
            assert info["projected_distance"] == pytest.approx(np.linalg.norm(info["executed_action"] - asked))
            if step % 2:
                assert (info["cost"], info["projected_distance"]) == (0, 0)
            alone, its_reward, *_, its_info = bare.step(info["executed_action"])
            np.testing.assert_array_equal(alone, obs)
            assert its_reward == reward
            assert info.keys() == its_info.keys() | JUDGED


def test_off_executes_what_it_is_given() -> None:
    with closing(gymnasium.make("acrl/R+L2-v0", enforce="off")) as env:
        env.reset(seed=0)
        *_, info = env.step(np.array([0.3, -0.4]))
    assert info["executed_action"].tolist() == [0.3, -0.4]
    # A circle of radius sqrt(0.05), and an action at 0.5 from its centre.
    expected = {"cost": 1.0, "violation": 0.2, "projected_distance": 0.5 - 0.05**0.5}
    assert {name: info[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("task_id", TASKS)
def test_the_rounding_of_float32_is_no_violation(task_id: str) -> None:
    task = make_task(task_id)
    with closing(gymnasium.make(task.gym_id, enforce="error")) as env:
        obs, _ = env.reset(seed=0)
        env.action_space.seed(0)
        for _ in range(30):
            action = torch.as_tensor(env.action_space.sample(), dtype=torch.float32)[None]
            obs, *_ = env.step(task.constraint.project(action, *rows(obs))[0].numpy())


def test_error_takes_no_step_with_an_infeasible_action() -> None:
    with closing(gymnasium.make("acrl/R+L2-v0", enforce="error")) as env:
        env.reset(seed=0)
        before = env.unwrapped.data.qpos.copy()
        with pytest.raises(UserError, match=r"infeasible action: it violates the constraint by 0\.2; project it"):
            env.step(np.array([0.3, -0.4]))
        np.testing.assert_array_equal(env.unwrapped.data.qpos, before)
        *_, info = env.step(np.array([0.1, 0.1]))
    assert info["executed_action"].tolist() == [0.1, 0.1]


@pytest.mark.parametrize(
    ("action", "message"), [([np.nan, 0.0], "NaN"), ([0.0], r"expected \(2,\)"), ([[0.0, 0.0]], "shape")]
)
def test_an_action_that_is_none_is_refused(action: Any, message: str) -> None:
    with closing(gymnasium.make("acrl/R+L2-v0", disable_env_checker=True)) as env:
        env.reset(seed=0)
        with pytest.raises(UserError, match=message):
            env.step(np.array(action))


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(UserError, match="enforce is 'clip'; choose one of 'project', 'off', 'error'"):
        gymnasium.make("acrl/R+L2-v0", enforce="clip")


class Watch(BaseCallback):
    def __init__(self) -> None:
        super().__init__()
        self.costs: list[float] = []

    def _on_step(self) -> bool:
        self.costs.append(self.locals["infos"][0]["cost"])
        return True


def test_no_infeasible_action_of_stable_baselines3_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task("HC+O")
    with closing(gymnasium.make(task.gym_id)) as env:
        simulator: Any = env.unwrapped
        step, executed, watch = simulator.step, [], Watch()

        def watched(action: Any) -> Any:
            executed.append(rows(action, simulator._get_obs()))
            return step(action)

        monkeypatch.setattr(simulator, "step", watched)
        SAC("MlpPolicy", env, learning_starts=200, seed=0).learn(250, callback=watch)
    assert len(executed) == len(watch.costs) == 250
    assert sum(watch.costs) > 10
    assert all(task.constraint.contains(action, obs).all() for action, obs in executed)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_environments_side_by_side(mode: str) -> None:
    constraint = make_task("HC+O").constraint
    envs = gymnasium.make_vec("acrl/HC+O-v0", num_envs=3, vectorization_mode=mode)
    costs = 0.0
    with closing(envs):
        obs, _ = envs.reset(seed=0)
        envs.action_space.seed(0)
        for _ in range(40):
            before = torch.from_numpy(obs)
            obs, *_, info = envs.step(envs.action_space.sample())
            assert constraint.contains(torch.from_numpy(info["executed_action"]), before).all()
            costs += info["cost"].sum()
    assert costs > 0


@pytest.mark.parametrize("gym_id", ["acrl/HC+O-v0", "acrl/HC+R-v1"])
def test_gymnasium_makes_it_again_from_its_specification(gym_id: str) -> None:
    env = gymnasium.make(gym_id, enforce="off")
    assert env.spec is not None
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert str(again) == str(env)
    assert again.spec == env.spec
    assert again.observation_space == env.observation_space
    env.close()
    again.close()


def test_gymnasium_imports_the_tasks_itself_when_the_id_names_the_package(tmp_path: Path) -> None:
    code = """
import warnings
warnings.simplefilter("error")
import gymnasium
first = gymnasium.make("envs:acrl/HC+O-v0")
import envs
print(first.spec == gymnasium.make("envs:acrl/HC+O-v0").spec == gymnasium.make("acrl/HC+O-v0").spec)
"""
    assert run_python(tmp_path, code) == ["True"]
