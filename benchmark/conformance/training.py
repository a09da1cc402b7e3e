"""A real training run in the harness's hands, with what the method returned in it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmark.conformance.tampering import changed, members
from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.training.harness import Outcome, train
from envs.constraints.base import Constraint
from envs.registry import TaskSpec
from methods import base
from methods.base import Method, method_class

STEPS = 60


@dataclass
class Recording:
    """What a method returned to the harness while it trained, and the method itself."""

    policy: list[Tensor] = field(default_factory=list)
    behaviour: list[Tensor] = field(default_factory=list)
    policy_obs: list[Tensor] = field(default_factory=list)
    obs: list[Tensor] = field(default_factory=list)
    methods: list[Method[Any]] = field(default_factory=list)


@dataclass
class Training(Recording):
    """The same with what came of the run.

    Attributes:
        outcome: What the harness measured.
        constraint: What it judged by.
        replaced: Members of the constraint's classes and of the harness's judges that are others since.
    """

    outcome: Outcome = field(kw_only=True)
    constraint: Constraint = field(kw_only=True)
    replaced: list[str] = field(kw_only=True)


def train_recorded(method_id: str, task: TaskSpec, settings: dict[str, Any], seed: int, artifacts: Path) -> Training:
    """Train for a few steps, on a copy of the task's constraint."""
    config = RunConfig(
        steps=STEPS,
        evaluation=EvaluationSettings(every=STEPS, episodes=1, final_episodes=1),
        update_at="step",
        timeout_seconds=None,
        method=settings,
    )
    constraint, before, found = copy.deepcopy(task.constraint), members(task.constraint), Recording()
    with _recording(method_id, found):
        judged = dataclasses.replace(task, constraint=constraint)
        outcome = train(judged, method_id, config, seed, artifacts, lambda _: None)
    replaced = changed(before, members(constraint))
    return Training(**vars(found), outcome=outcome, constraint=constraint, replaced=replaced)


@contextmanager
def _recording(method_id: str, found: Recording) -> Iterator[None]:
    """Let the registry give a subclass of the method that notes what it returns to the harness while it trains."""
    cls: Any = method_class(method_id)

    class Recorder(cls):  # type: ignore[misc]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.inside = False
            found.methods.append(self)

        def act(self, obs: Tensor, explore: bool) -> Tensor:
            # Evaluation asks here: what this asks of act_pair is no step of training.
            before, self.inside = self.inside, True
            try:
                action: Tensor = super().act(obs, explore)
                return action
            finally:
                self.inside = before

        def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
            seen = obs.clone()
            policy, behaviour = super().act_pair(obs)
            if not self.inside:
                found.obs.append(seen)
                found.behaviour.append(behaviour.clone())
                if policy is not None:
                    found.policy.append(policy.clone())
                    found.policy_obs.append(seen)
            return policy, behaviour

    base._METHODS[method_id] = Recorder
    try:
        yield
    finally:
        base._METHODS[method_id] = cls
