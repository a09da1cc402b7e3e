"""A method at work outside of a benchmark run: short, small, and recorded step by step."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from benchmark.conformance.episodes import observations
from benchmark.conformance.training import Training, train_recorded
from benchmark.records.config import merge
from benchmark.records.store import ArtifactStore
from benchmark.training.evaluation import check_action
from benchmark.training.meter import Clock, MeteredConstraint
from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import derive_seed
from methods.base import Method, Transition, make_method, method_class, parse_config

# Learning starts soon and the networks are small. A method without such a setting keeps its own.
SMALL: dict[str, Any] = {
    "warmup": 12,
    "batch_size": 8,
    "replay_size": 64,
    "hidden": [16, 16],
    "samples": {"train": 500, "test": 200, "rollout_steps": 100},
    "flow": {"updates": 40, "batch_size": 64, "hidden": [16, 16], "layers": 4},
}
# A method may be put down between two episodes: they are made this short, so that there are several.
EPISODE = 10
EPISODES = 6
SEED = 3


def small_settings(method_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that make the method's work seconds, as far as it has them, with ``given`` on top.

    Raises:
        UserError: If a given setting is unknown or ill-typed, or the method has no settings at all.
    """
    cls = method_class(method_id)
    if not hasattr(cls, "Config"):
        raise UserError(f"method '{method_id}' has no Config; give it one that inherits from MethodConfig")
    settings: dict[str, Any] = {}
    for name, value in SMALL.items():
        if name in cls.Config.model_fields:
            try:
                parse_config(cls, {**settings, name: value})
            except UserError:
                # It means something else by this name.
                continue
            settings[name] = value
    return parse_config(cls, merge(settings, given)).model_dump(mode="json")


@dataclass
class Trace:
    """What a method put out in some episodes, and the tensors that it was given, each with a copy made before."""

    actions: list[Tensor] = field(default_factory=list)
    losses: list[dict[str, float]] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    given: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def same_as(self, other: Trace) -> bool:
        """Whether all actions, losses and rewards are the same to the bit."""
        return (
            len(self.actions) == len(other.actions)
            and all(torch.equal(a, b) for a, b in zip(self.actions, other.actions, strict=True))
            and self.rewards == other.rewards
            and repr(self.losses) == repr(other.losses)
        )


@dataclass(frozen=True)
class MethodCase:
    """One method on one task.

    Attributes:
        method_id: The method.
        task: The task.
        settings: The method's, small.
        artifacts: Folder of what preparation makes, made once for all checks.
    """

    method_id: str
    task: TaskSpec
    settings: dict[str, Any]
    artifacts: Path

    def make(self, seed: int = SEED) -> Method[Any]:
        """The method, prepared, with a constraint of its own that is metered as the harness does it."""
        method = self.make_unprepared(seed)
        method.prepare(ArtifactStore(self.artifacts, self.task))
        return method

    def make_unprepared(self, seed: int = SEED) -> Method[Any]:
        """The same before preparation."""
        metered = MeteredConstraint(copy.deepcopy(self.task.constraint), Clock())
        task = dataclasses.replace(self.task, constraint=cast(Constraint, metered))
        method = make_method(self.method_id, task, self.settings, seed)
        metered.solver = method.projection_solver
        return method

    @cached_property
    def obs(self) -> Tensor:
        """Observations (64, o)."""
        return observations(self.task, 64, SEED)

    def trace(self, seed: int = SEED) -> Trace:
        """A fresh method's first episodes."""
        return self.run(self.make(seed), 0, EPISODES)

    @cached_property
    def reference(self) -> Trace:
        """The trace that others are compared with."""
        return self.trace()

    @cached_property
    def training(self) -> Training:
        """A real training run in the harness's hands."""
        return train_recorded(self.method_id, self.task, self.settings, SEED, self.artifacts)

    def run(self, method: Method[Any], first: int, last: int) -> Trace:
        """Let a method act and learn in episodes ``first`` to ``last`` - 1, whose number alone decides their start.

        Args:
            method: From :meth:`make`.
            first: Number of the first episode.
            last: Number of the first one that is not run any more.
        """
        # The method's own task could be another by now: what is executed is repaired by this one.
        repairer = MeteredConstraint(copy.deepcopy(self.task.constraint), Clock())
        repairer.solver = method.projection_solver
        trace = Trace()
        with closing(self.task.make_env(disable_env_checker=True)) as env:
            for episode in range(first, last):
                obs, ended = _tensor(env.reset(seed=derive_seed(0, "conformance", episode))[0]), False
                for step in range(1, EPISODE + 1):
                    obs, ended = _step(method, env, repairer, obs, step == EPISODE, trace)
                    if ended:
                        break
        return trace


def _step(
    method: Method[Any], env: Any, repairer: MeteredConstraint, obs: Tensor, last: bool, trace: Trace
) -> tuple[Tensor, bool]:
    """One step and its update; returns the next observation and whether the episode ended."""
    obs_before = obs.clone()
    policy, behaviour = method.act_pair(obs)
    for action in (policy, behaviour):
        if action is not None:
            check_action(method, action, 1)
            trace.actions.append(action.clone())
    behaviour = behaviour.double()
    executed = repairer.repair(behaviour, obs_before)
    observation, reward, terminated, truncated, _ = env.step(executed[0].numpy())
    next_obs, truncated = _tensor(observation), bool(truncated) or last
    trace.given += [(obs, obs_before), *((given, given.clone()) for given in (behaviour, executed, next_obs))]
    method.observe(Transition(obs, behaviour, executed, float(reward), next_obs, bool(terminated), truncated))
    trace.losses.append(dict(method.update()))
    trace.rewards.append(float(reward))
    return next_obs.clone(), bool(terminated) or truncated


def _tensor(observation: Any) -> Tensor:
    return torch.tensor(observation, dtype=torch.float64)[None]
