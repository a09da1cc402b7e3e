"""Observing the action executed before."""

import gymnasium
import numpy as np
import pytest
import torch

from envs import make_task
from envs.previous_action import PreviousAction

TASKS = ("HC+R", "HC+O+R", "HC+R+N")


@pytest.mark.parametrize("task_id", TASKS)
def test_everything_else_is_as_without(task_id: str) -> None:
    task = make_task(task_id)
    env, bare = task.make_env(), make_task("HC+N").make_env()
    rng = np.random.default_rng(0)
    for _ in range(2):
        observation, _ = env.reset(seed=1)
        expected, _ = bare.reset(seed=1)
        before = np.zeros(6)
        for _ in range(30):
            assert observation.dtype == np.float64
            assert observation in env.observation_space
            np.testing.assert_array_equal(observation, [*expected, *before])
            action = rng.uniform(-1, 1, 6)
            observation, *others = env.step(action)
            expected, *expected_others = bare.step(action)
            assert others == expected_others
            before = action
    env.close()
    bare.close()


def test_an_episode_ends_when_it_would_without() -> None:
    env = make_task("HC+R").make_env()
    env.reset(seed=0)
    ends = [env.step(np.zeros(6))[3] for _ in range(1000)]
    assert ends == [False] * 999 + [True]


def test_an_action_outside_of_the_space_is_observed_as_the_nearest_in_it() -> None:
    env = PreviousAction(gymnasium.make("HalfCheetah-v5"))
    env.reset(seed=0)
    observation, *_ = env.step(np.array([3.0, -3.0, 0.5, 1.0, -1.0, 0.0]))
    assert observation[-6:].tolist() == [1.0, -1.0, 0.5, 1.0, -1.0, 0.0]


@pytest.mark.parametrize("task_id", ["HC+R", "HC+O+R"])
def test_executed_actions_never_move_farther_than_the_rate(task_id: str) -> None:
    """From rest at a reset, too, and up to rounding; what is asked for moves ten times as far."""
    task = make_task(task_id)
    env = task.make_env()
    rng = np.random.default_rng(2)
    for episode in range(2):
        observation, _ = env.reset(seed=episode)
        before = np.zeros(6)
        for _ in range(100):
            obs = torch.as_tensor(observation)[None]
            action = task.constraint.project(torch.as_tensor(rng.uniform(-2, 2, (1, 6))), obs)
            assert task.constraint.contains(action, obs).all()
            executed = action[0].numpy()
            assert np.abs(executed - before).max() <= 0.2 + 1e-15
            observation, *_ = env.step(executed)
            before = executed
    env.close()
