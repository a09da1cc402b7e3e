"""Small learners and transitions made by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from envs import make_task
from envs.registry import TaskSpec
from envs.seeding import make_generator
from methods import make_method
from methods.base import Method, Transition
from methods.ddpg import DDPG

FLOW_METHODS = ("flowpg", "flowpg-gauge", "flowpg-spline")
PROJECTED = tuple(f"ddpg-projection{suffix}" for suffix in ("", "-layer", "-qp", "-target"))
METHODS = ("ddpg-penalty", *PROJECTED, *FLOW_METHODS, "nfw", "nfw-target")
SMALL = {"warmup": 20, "batch_size": 8, "replay_size": 200, "hidden": [16, 16]}
SMALL_FLOW = {
    "samples": {"train": 500, "test": 200, "rollout_steps": 100},
    "flow": {"updates": 40, "batch_size": 64, "hidden": [16, 16], "layers": 4},
}
OWN = {"cv-flow": SMALL_FLOW, "aram": {"snapshot_after": 0, "snapshot_every": 10, "actor_samples": 2}}


def settings(method: str, **changes: Any) -> dict[str, Any]:
    return {**SMALL, **(SMALL_FLOW if method in FLOW_METHODS else OWN.get(method, {})), **changes}


def make_learner(method: str = "ddpg-projection", task: str = "R+L2", seed: int = 0, **changes: Any) -> DDPG[Any]:
    """A small learner, prepared."""
    learner = make_method(method, make_task(task), settings(method, **changes), seed)
    learner.prepare()
    assert isinstance(learner, DDPG)
    return learner


def observations(task: TaskSpec, count: int, seed: int = 0) -> Tensor:
    """Observations (count, o) that the environment need not have seen."""
    env = task.make_env()
    space = env.observation_space
    env.close()
    assert space.shape is not None
    return torch.randn((count, *space.shape), generator=make_generator(seed, "obs"), dtype=torch.float64)


def transitions(task: TaskSpec, count: int, seed: int = 0) -> list[Transition]:
    """Steps between made-up observations, the last of every five terminal."""
    generator = make_generator(seed, "transitions")
    obs = observations(task, count + 1, seed)
    behaviour = task.constraint.sample(obs, generator) * 1.5
    executed = task.constraint.project(behaviour, obs)
    return [
        Transition(
            obs[k : k + 1],
            behaviour[k : k + 1],
            executed[k : k + 1],
            float(obs[k].sum()),
            obs[k + 1 : k + 2],
            terminated=k % 5 == 4,
            truncated=False,
        )
        for k in range(count)
    ]


def feed(learner: Method[Any], count: int, seed: int = 0) -> None:
    """Let a learner observe ``count`` transitions."""
    for transition in transitions(learner.task, count, seed):
        learner.observe(transition)


def copy_of(learner: Method[Any]) -> list[Tensor]:
    """All learned numbers."""
    return [value.clone() for value in learner.state_dict().values()]


def equal(left: list[Tensor], right: list[Tensor]) -> bool:
    return len(left) == len(right) and all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
