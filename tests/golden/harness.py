"""A short run through the benchmark's harness. Nothing else here knows where the modules of ``benchmark`` are."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.records.store import RunCheckpoint
from benchmark.training.harness import Outcome, train
from benchmark.training.meter import Tally, ViolationCounter
from envs import make_task
from envs.registry import TaskSpec
from methods.base import Method, Transition, method_class

__all__ = ["Short", "Tally", "ViolationCounter", "run", "short_task"]

EVALUATION = EvaluationSettings(every=14, episodes=2, final_episodes=2, judged_steps=24)


class InterruptionError(Exception):
    """Stops a run between two steps."""


class Short(TaskSpec):
    """A task whose episodes are cut at its own limit and simulated by its own arguments, whatever was registered."""

    def make_env(self, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        """See :meth:`TaskSpec.make_env`."""
        return super().make_env(max_episode_steps=self.max_episode_steps, **self.env_kwargs, **kwargs)


def short_task(task_id: str, episode: int, **env_kwargs: Any) -> Short:
    """A registered task with episodes of so many steps, and a constraint that shares nothing with the registry's."""
    task = make_task(task_id)
    fields = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    changes: dict[str, Any] = {"max_episode_steps": episode, "constraint": copy.deepcopy(task.constraint)}
    changes["env_kwargs"] = {**task.env_kwargs, **env_kwargs}
    return Short(**(fields | changes))


def run(
    task: TaskSpec, method: str, settings: dict[str, Any], steps: int, update_at: str, interrupted_at: int | None
) -> tuple[Outcome, list[Transition]]:
    """Train, and if wanted be interrupted and resumed from the last checkpoint.

    Returns:
        The outcome and every transition that the method observed, those before an interruption included.
    """
    fields = {"steps": steps, "evaluation": EVALUATION, "update_at": update_at, "timeout_seconds": None}
    config = RunConfig(method=settings, **fields)
    seen: list[Transition] = []
    cls = method_class(method)
    observe = cls.observe

    def watched(self: Method[Any], transition: Transition) -> None:
        seen.append(transition)
        observe(self, transition)

    def interrupt(step: int) -> None:
        if step == interrupted_at:
            raise InterruptionError

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cls, "observe", watched)
        path = Path(folder) / "run.safetensors"
        if interrupted_at is not None:
            with pytest.raises(InterruptionError):
                train(task, method, config, 0, Path(folder), interrupt, RunCheckpoint(path, "golden", every=0))
        checkpoint = RunCheckpoint(path, "golden", every=0) if interrupted_at is not None else None
        return train(task, method, config, 0, Path(folder), lambda _: None, checkpoint), seen
