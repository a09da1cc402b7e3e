"""Small learners on stable-baselines3, one of them of a class that is not shipped."""

from __future__ import annotations

from typing import Any

from envs import make_task
from envs.registry import TaskSpec
from methods import make_method
from methods.stable_baselines3 import NoisyConfig, StableBaselines3
from tests.methods.learners import ADAPTED, feed, settings

REACHER = make_task("R+L2")


class ThreeSteps(StableBaselines3[NoisyConfig]):
    """What somebody else would write for an algorithm that is not shipped."""

    id = "ddpg-three-steps"
    Config = NoisyConfig

    def algorithm(self) -> Any:
        from stable_baselines3 import DDPG

        return DDPG

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"n_steps": 3}


KINDS = (*ADAPTED, ThreeSteps.id)


def make(kind: str, task: TaskSpec = REACHER, seed: int = 0, **changes: Any) -> StableBaselines3[Any]:
    """A small learner."""
    chosen = settings(kind, **changes)
    own = kind == ThreeSteps.id
    learner = ThreeSteps(task, NoisyConfig(**chosen), seed) if own else make_method(kind, task, chosen, seed)
    assert isinstance(learner, StableBaselines3)
    return learner


def trained(kind: str, updates: int = 5, **changes: Any) -> StableBaselines3[Any]:
    learner = make(kind, **changes)
    feed(learner, 30)
    for _ in range(updates):
        learner.update()
    return learner
