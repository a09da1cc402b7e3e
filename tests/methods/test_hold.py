"""Hold: the feasible action nearest to doing nothing."""

from __future__ import annotations

from contextlib import closing

import pytest
import torch

from envs import list_tasks, make_task
from envs.seeding import make_generator
from methods import make_method
from tests.methods.learners import observations


@pytest.mark.parametrize("zones", [3, 5])
@pytest.mark.parametrize("suffix", ["", "+N"])
def test_at_bike_sharing_no_bike_is_moved(zones: int, suffix: str) -> None:
    task = make_task(f"BSS-{zones}{suffix}")
    method = make_method("hold", task)
    with closing(task.make_env()) as env:
        observation, _ = env.reset(seed=0)
        for _ in range(100):
            obs = task.observed(observation)[None]
            action = method.act(obs, explore=True)
            assert task.constraint.executable(action, obs).all()
            assert torch.equal(action[0], obs[0, zones : 2 * zones])
            observation, _, _, _, info = env.step(action[0].numpy())
            assert info["moved"] == 0


@pytest.mark.parametrize("task_id", [task for task in list_tasks() if not task.startswith("BSS")])
def test_no_feasible_action_is_nearer_to_doing_nothing(task_id: str) -> None:
    task, generator = make_task(task_id), make_generator(0, "rivals")
    obs = observations(task, 5)
    # The weights held now, of a portfolio; elsewhere no torque.
    idle = obs[:, : task.constraint.dim] if task_id.startswith("Portfolio") else torch.zeros(1, task.constraint.dim)
    action = make_method("hold", task).act(obs, explore=False)
    assert task.constraint.contains(action, obs, 1e-9).all()
    distance = (action - idle).norm(dim=1)
    for _ in range(20):
        assert (distance <= (task.constraint.sample(obs, generator) - idle).norm(dim=1) + 1e-9).all()
