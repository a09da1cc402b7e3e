"""A real training run in the harness's hands, with what the method put out in it."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from benchmark.conformance.tampering import intact, shadowed
from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.records.results import Violations
from benchmark.training import harness
from envs.constraints.base import Constraint
from envs.registry import TaskSpec
from methods.base import Transition, method_class, parse_config

STEPS = 30


@dataclass
class Training:
    """What a method put out in its training, and what the harness made of that.

    Attributes:
        constraint: What the harness measured by.
        seen: What the method saw of it.
        policy: Outputs (1, n) of the policy, each with the observation (1, o) that it was put out at.
        behaviour: The same with exploration.
        replaced: What the method replaced in the constraint, its class, or in what the harness measures with.
        violations: What the harness counted.
    """

    constraint: Constraint
    seen: Any = None
    policy: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    behaviour: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    replaced: set[str] = field(default_factory=set)
    violations: Violations = field(init=False)


def train_recorded(method_id: str, task: TaskSpec, settings: dict[str, Any], seed: int, artifacts: Path) -> Training:
    """Train for a few steps, on a copy of the task's constraint."""
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
    """A subclass of a method that notes what it returns to the harness while it trains."""

    class Recorder(cls):  # type: ignore[misc]
        def __init__(self, found: Training, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.found = found

        def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
            at = obs.clone()
            policy, behaviour = super().act_pair(obs)
            self.put_out = (None if policy is None else policy.clone(), behaviour.clone(), at)
            return policy, behaviour

        def observe(self, transition: Transition) -> None:
            # What was put out last is what this step came of; evaluation observes nothing.
            policy, behaviour, at = self.put_out
            self.found.seen = self.task.constraint
            self.found.behaviour.append((behaviour, at))
            if policy is not None:
                self.found.policy.append((policy, at))
            super().observe(transition)

    return Recorder
