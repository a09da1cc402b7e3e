"""A short, recorded trial of one method on one task, with small settings, which the checks of methods read."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import pytest
import torch
from torch import Tensor

from benchmark.conformance.probes import disturbed, intact, rollout, shadowed
from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.records.results import Violations
from benchmark.records.store import ArtifactStore, load_tensors, save_tensors
from benchmark.records.yaml import merge
from benchmark.training import harness
from benchmark.training.evaluation import check_action
from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import derive_seed
from methods.base import Method, Tensors, Transition, make_method, method_class, parse_config

# Learning starts early, buffers wrap around and networks are small. Settings that a method lacks are left out.
SMALL: dict[str, Any] = {
    "warmup": 8,
    "batch_size": 4,
    "replay_size": 12,
    "hidden": [16, 16],
    "samples": {"train": 200, "test": 100, "rollout_steps": 50},
    "flow": {"updates": 10, "batch_size": 32, "hidden": [16, 16], "layers": 2},
}
# Checkpoints lie between episodes, so episodes are short enough for several.
EPISODE, EPISODES, HALF = 8, 4, 2
# Steps of a training run in the harness.
STEPS = 30
SEED = 3


def small_settings(method_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The method's settings, with small sizes where it has such settings, overridden by ``given``.

    Raises:
        UserError: If a given setting is unknown or ill-typed, or the method has no ``Config``.
    """
    cls = method_class(method_id)
    if not hasattr(cls, "Config"):
        raise UserError(f"method '{method_id}' has no Config; give it one that inherits from MethodConfig")
    settings: dict[str, Any] = {}
    for name, value in SMALL.items():
        if name in cls.Config.model_fields:
            # The name may mean something else in this method.
            with suppress(UserError):
                parse_config(cls, {**settings, name: value})
                settings[name] = value
    return parse_config(cls, merge(settings, given)).model_dump(mode="json")


class ShortTask(TaskSpec):
    """A task whose episodes are cut after ``EPISODE`` steps."""

    def make_env(self, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        """See :class:`TaskSpec`."""
        return super().make_env(max_episode_steps=EPISODE, **kwargs)


class Step(NamedTuple):
    """A method's output in one step, and the tensors given to it, each with an earlier copy."""

    actions: list[Tensor]
    losses: dict[str, float]
    reward: float
    given: list[tuple[Tensor, Tensor]]


def difference(left: list[Step], right: list[Step]) -> str:
    """Where two runs first differ; empty if actions, losses and rewards are equal to the bit."""
    for number, (one, other) in enumerate(zip(left, right, strict=False)):
        if len(one.actions) != len(other.actions) or not all(map(torch.equal, one.actions, other.actions)):
            return f"in the action of step {number}"
        if (repr(one.losses), one.reward) != (repr(other.losses), other.reward):
            return f"in the losses or the reward of step {number}"
    return "" if len(left) == len(right) else "in their number of steps"


@dataclass(frozen=True)
class Run:
    """A method's first episodes.

    Attributes:
        method: The method after the last episode.
        steps: All steps.
        middle: Number of steps in the first half.
        checkpoint: ``checkpoint_dict`` in the middle, written to a file and read back.
        early: ``state_dict`` in the middle.
        late: ``state_dict`` after the last episode.
        acts: Actions after the last episode, at the trial's observations.
        disturbed: Global random generators that were used, by the part that used them.
    """

    method: Method[Any]
    steps: list[Step]
    middle: int
    checkpoint: Tensors
    early: Tensors
    late: Tensors
    acts: list[Tensor]
    disturbed: dict[str, list[str]]


class MethodTrial:
    """One method on one task, with small settings. All checks share the prepared ``artifacts``."""

    def __init__(self, method_id: str, task: TaskSpec, settings: dict[str, Any], artifacts: Path) -> None:
        fields = {one.name: getattr(task, one.name) for one in dataclasses.fields(TaskSpec)}
        self.method_id = method_id
        self.task = ShortTask(**fields)
        self.settings = settings
        self.artifacts = artifacts

    @cached_property
    def obs(self) -> Tensor:
        """Observations (32, o)."""
        return torch.as_tensor(rollout(self.task, SEED, 32).observations[:32])

    @cached_property
    def run(self) -> Run:
        """The run with which others are compared."""
        path = self.artifacts / "conformance.safetensors"
        with disturbed() as making:
            method = self.make()
        with disturbed() as learning:
            steps = self.play(method, 0, HALF)
            middle = len(steps)
            save_tensors(path, method.checkpoint_dict(), {})
            checkpoint, early = load_tensors(path)[0], clones(method.state_dict())
            steps += self.play(method, HALF, EPISODES)
            late, acts = clones(method.state_dict()), self.acts(method)
        used = {"the constructor or prepare()": making, "act, observe or update": learning}
        return Run(method, steps, middle, checkpoint, early, late, acts, used)

    @cached_property
    def training(self) -> Training:
        """A real training run in the harness."""
        return train_recorded(self.method_id, self.task, self.settings, SEED, self.artifacts)

    def make(self, seed: int = SEED) -> Method[Any]:
        """A new, prepared method with its own copy of the constraint."""
        with intact(self.task.constraint):
            task = dataclasses.replace(self.task, constraint=copy.deepcopy(self.task.constraint))
            method = make_method(self.method_id, task, self.settings, seed)
            method.prepare(ArtifactStore(self.artifacts, self.task))
        return method

    def acts(self, method: Method[Any]) -> list[Tensor]:
        """Actions without and with exploration; the latter also depend on the method's generators."""
        return [method.act(self.obs.clone(), explore).clone() for explore in (False, True)]

    def play(self, method: Method[Any], first: int, last: int) -> list[Step]:
        """Let a method act and learn in episodes ``first`` to ``last`` - 1; an episode's number seeds its start."""
        steps = []
        with intact(self.task.constraint), closing(self.task.make_env(disable_env_checker=True)) as env:
            for episode in range(first, last):
                obs, ended = _tensor(env.reset(seed=derive_seed(0, "conformance", episode))[0]), False
                while not ended:
                    step, obs, ended = self._step(method, env, obs)
                    steps.append(step)
        return steps

    def _step(self, method: Method[Any], env: Any, obs: Tensor) -> tuple[Step, Tensor, bool]:
        """Take one step and its update; return it, the next observation, and whether the episode ended."""
        before = obs.clone()
        policy, behaviour = method.act_pair(obs)
        actions = [action.clone() for action in (policy, behaviour) if action is not None]
        for action in actions:
            check_action(method, action, 1)
        behaviour = behaviour.double()
        # Not the method's own constraint, which it could have changed.
        constraint = self.task.constraint
        repair = constraint.repair_by_solver if method.projection_solver == "cvxpy" else constraint.repair
        executed = repair(behaviour, before).clone()
        observation, reward, terminated, truncated, _ = env.step(executed[0].numpy())
        next_obs = _tensor(observation)
        given = [(obs, before), *((tensor, tensor.clone()) for tensor in (behaviour, executed, next_obs))]
        transition = Transition(obs, behaviour, executed, float(reward), next_obs, bool(terminated), bool(truncated))
        method.observe(transition)
        step = Step(actions, dict(method.update()), float(reward), given)
        return step, _tensor(observation), bool(terminated or truncated)


def clones(state: Mapping[str, Tensor]) -> Tensors:
    """A copy of a state, without shared memory."""
    return {name: value.clone() for name, value in state.items()}


def _tensor(observation: Any) -> Tensor:
    return torch.tensor(observation, dtype=torch.float64)[None]


@dataclass
class Training:
    """A method's output during training, and the harness's counts.

    Attributes:
        constraint: The constraint by which the harness counted.
        seen: The constraint that the method received.
        policy: Outputs (1, n) of the policy, each with its observation (1, o).
        behaviour: The same with exploration.
        replaced: Names that the method replaced in the constraint, its class, or the classes that measure.
        violations: The harness's counts.
    """

    constraint: Constraint
    seen: Any = None
    policy: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    behaviour: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)
    violations: Violations = field(init=False)


def train_recorded(method_id: str, task: TaskSpec, settings: dict[str, Any], seed: int, artifacts: Path) -> Training:
    """Train for a few steps with a copy of the task's constraint."""
    found, cls = Training(copy.deepcopy(task.constraint)), _recorder(method_class(method_id))
    evaluation = EvaluationSettings(every=STEPS, episodes=1, final_episodes=1)
    config = RunConfig(steps=STEPS, evaluation=evaluation, update_at="step", method=settings)

    def make_recorder(_: str, task: TaskSpec, config: dict[str, Any], seed: int) -> Any:
        return cls(found, task, parse_config(cls, config), seed)

    judged = dataclasses.replace(task, constraint=found.constraint)
    with intact(task.constraint) as replaced, pytest.MonkeyPatch.context() as patch:
        patch.setattr(harness, "make_method", make_recorder)
        found.violations = harness.train(judged, method_id, config, seed, artifacts, lambda _: None).violations
    hidden = [name for seen in (found.constraint, found.seen) for name in shadowed(seen, found.constraint)]
    found.replaced = {*replaced, *hidden}
    return found


def _recorder(cls: Any) -> Any:
    """A subclass of a method that records its output during training."""

    class Recorder(cls):  # type: ignore[misc]
        def __init__(self, found: Training, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.found = found
            self.put_out: tuple[Tensor | None, Tensor, Tensor] | None = None

        def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
            at = obs.clone()
            policy, behaviour = super().act_pair(obs)
            self.put_out = (None if policy is None else policy.clone(), behaviour.clone(), at)
            return policy, behaviour

        def act(self, obs: Tensor, explore: bool) -> Tensor:
            action: Tensor = super().act(obs, explore)
            if self.put_out is not None and self.put_out[0] is None and not explore:
                # The harness asks for the policy's action that act_pair left out.
                self.put_out = (action.clone(), *self.put_out[1:])
            return action

        def observe(self, transition: Transition) -> None:
            # The last output led to this step, since evaluation observes nothing.
            assert self.put_out is not None
            policy, behaviour, at = self.put_out
            self.put_out = None
            self.found.seen = self.task.constraint
            self.found.behaviour.append((behaviour, at))
            if policy is not None:
                self.found.policy.append((policy, at))
            super().observe(transition)

    return Recorder
