"""The loop: evaluation, curves, counts, time, repair, and methods that misbehave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.envs.mujoco.reacher_v5 import ReacherEnv
from torch import Tensor

from benchmark.records.config import EvaluationSettings, RunConfig
from benchmark.records.store import RunCheckpoint
from benchmark.training import meter as clock
from benchmark.training.harness import Outcome, Watch, train
from envs import UserError, make_task, registry
from envs.errors import MethodFailedError
from methods import base, list_methods
from methods.base import Method, Tensors, Transition
from tests.methods.learners import settings
from tests.methods.scripted import Scripted

STEPS, EVERY, WARMUP, EPISODE = 130, 40, 60, 50


def config(method: Mapping[str, Any] | None = None, **changes: Any) -> RunConfig:
    evaluation = EvaluationSettings(every=EVERY, episodes=1, final_episodes=2)
    fields = {"steps": STEPS, "evaluation": evaluation, "update_at": "episode", "timeout_seconds": None}
    return RunConfig(**(fields | {"method": dict(method or {})} | changes))


Run = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Trains a method given by its class."""

    def run_class(
        cls: type[Method[Any]],
        task: str = "R+L2",
        checkpoint: RunCheckpoint | None = None,
        watch: Watch | None = None,
        **changes: Any,
    ) -> Outcome:
        list_methods()
        monkeypatch.setitem(base._METHODS, cls.id, cls)
        return train(
            make_task(task), cls.id, config(**changes), 0, tmp_path, lambda _: None, checkpoint=checkpoint, watch=watch
        )

    return run_class


# --- what an outcome shows; a plain learner, one with a flow, one behind a head, and a task with an equality -----


@pytest.mark.parametrize(
    ("task", "method"),
    [("R+O03", "ddpg-projection"), ("R+O03", "flowpg"), ("R+O03", "dpro"), ("BSS-3", "nfw")],
)
def test_an_outcome_agrees_with_itself(task: str, method: str, tmp_path: Path) -> None:
    made = config(settings(method, warmup=WARMUP))
    outcome = train(make_task(task), method, made, 0, tmp_path, lambda _: None)
    returns, last, bikes = outcome.returns, outcome.final_policy, task == "BSS-3"
    assert returns is not None
    assert last is not None
    assert returns.final.step == STEPS
    assert returns.best.step == max(returns.evaluations, key=lambda evaluation: evaluation.mean).step
    for evaluation, episodes in ((returns.final, 2), (returns.best, 2), (returns.evaluations[0], 1)):
        assert len(evaluation.episodes) == episodes
        assert evaluation.mean == pytest.approx(np.mean(evaluation.episodes))
    # Both final episodes are as long as a time limit allows.
    assert last.violations.n == (200 if bikes else 100)
    assert np.shape(last.contexts) == ((0,) if bikes else (100, 2))
    assert np.shape(outcome.visited) == ((0,) if bikes else (STEPS, 2))

    assert outcome.curves["step"] == [40, 80, 120, 130]
    # The warm-up's first episode gave no loss.
    assert outcome.curves["update/critic_loss"][0] is None
    assert outcome.curves["update/critic_loss"][-1] is not None
    found = outcome.violations
    assert (found.policy.n, found.behaviour.n, found.executed.n) == (STEPS - WARMUP, STEPS, STEPS)
    assert outcome.curves["violations/policy"][-1] == found.policy.count
    assert outcome.curves["violations/behaviour"][-1] == found.behaviour.count
    assert found.behaviour.count > 0
    # An equality is met within rounding.
    assert found.executed.valid_share["1e-06"] == 1
    assert bikes or found.executed.count == 0

    parts = outcome.seconds.model_dump(exclude={"total", "evaluate"})
    assert all(seconds >= 0 for seconds in parts.values())
    assert sum(parts.values()) <= outcome.seconds.total + 1e-9
    assert outcome.seconds.evaluate > 0


# --- the loop --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [False, True])
def test_each_part_is_charged_with_its_own_time(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, apart: bool
) -> None:
    now = [0.0]
    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])

    class Slow(Scripted):
        counted_apart = apart

        def prepare(self, artifacts: Any = None) -> None:
            del artifacts
            now[0] += 1000

        def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
            now[0] += 1
            return None, super().act(obs, True)

        def act(self, obs: Tensor, explore: bool) -> Tensor:
            now[0] += 1e6
            return self.task.constraint.project(super().act(obs, explore), obs)

        def update(self) -> dict[str, float]:
            now[0] += 10
            return {}

    class SlowDisk(RunCheckpoint):
        def save(self, state: Tensors) -> None:
            now[0] += 1e9
            super().save(state)

    def watch(*_: Any) -> None:
        now[0] += 1e12

    outcome = run(Slow, checkpoint=SlowDisk(tmp_path / "run.safetensors", "key", every=0), watch=watch)
    assert now[0] > 1e12 + 1e9
    seconds = outcome.seconds
    # An output that is only counted costs nothing: its projection is not counted either.
    assert outcome.violations.policy.n == STEPS * apart
    assert outcome.calls.project == 0
    assert (seconds.prepare, seconds.act, seconds.update) == (1000, STEPS, 10 * STEPS)
    # Four evaluations while training, the last policy and the best one: 50 steps each.
    assert seconds.evaluate == 6 * EPISODE * 1e6
    assert seconds.total == 1000 + STEPS + 10 * STEPS


def test_transitions_share_no_memory_with_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[Transition]()

    class Watching(Scripted):
        def observe(self, transition: Transition) -> None:
            seen.append(transition)
            super().observe(transition)

    class OneArray(ReacherEnv):
        def step(self, action: Any) -> Any:
            observation, *rest = super().step(action)
            action *= 0.1
            self.shared = getattr(self, "shared", observation)
            self.shared[:] = observation
            return (self.shared, *rest)

    task = replace(make_task("R+L2"), id="one-array", entry_point=OneArray)
    monkeypatch.setitem(registry._TASKS, task.id, lambda: task)
    run(Watching, task=task.id)
    assert not any(torch.equal(one.obs, one.next_obs) for one in seen)
    assert all(torch.equal(one.action, one.behaviour) for one in seen)


def test_evaluation_does_not_change_training(run: Run) -> None:
    often = EvaluationSettings(every=10, episodes=3, final_episodes=1)
    seldom = EvaluationSettings(every=1000, episodes=1, final_episodes=1)
    learner, small = base.method_class("ddpg-penalty"), settings("ddpg-penalty", warmup=WARMUP)
    first, second = (run(learner, "R+O03", evaluation=evaluation, method=small) for evaluation in (often, seldom))
    assert first.visited == second.visited
    assert first.violations == second.violations
    assert all(map(torch.equal, first.state.values(), second.state.values()))


# --- methods that misbehave ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("only_when_evaluated", [False, True])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda rows: torch.full((rows, 2), torch.nan), "with NaN or infinity"),
        (lambda rows: torch.full((rows, 2), torch.inf), "with NaN or infinity"),
        (lambda rows: torch.zeros((rows, 3)), r"of shape \(\d, 3\), not \(\d, 2\)"),
        (lambda _: torch.zeros(2), r"of shape \(2,\), not \(\d, 2\)"),
    ],
)
def test_bad_actions_name_the_method(
    run: Run, bad: Callable[[int], Tensor], message: str, only_when_evaluated: bool
) -> None:
    class Bad(Scripted):
        def act(self, obs: Tensor, explore: bool) -> Tensor:
            return super().act(obs, explore) if only_when_evaluated and self.steps < EVERY else bad(len(obs))

    with pytest.raises(UserError, match=f"method 'scripted' returned an action {message}"):
        run(Bad)


@pytest.mark.parametrize("diverges", ["act", "observe", "update"])
def test_a_method_that_gives_nan_to_the_constraint_has_failed(run: Run, diverges: str) -> None:
    class Diverging(Scripted):
        def act(self, obs: Tensor, explore: bool) -> Tensor:
            return self.asked("act", super().act(obs, explore))

        def observe(self, transition: Transition) -> None:
            super().observe(transition)
            self.asked("observe", transition.action)

        def update(self) -> dict[str, float]:
            self.asked("update", torch.zeros((1, 2)))
            return super().update()

        def asked(self, where: str, action: Tensor) -> Tensor:
            bad = torch.nan if where == diverges and self.steps > 2 * EVERY else 1.0
            return self.task.constraint.project(bad * action, torch.zeros((len(action), 10)))

    with pytest.raises(MethodFailedError, match=r"method 'scripted' failed \(action or obs holds NaN .*\) at step \d+"):
        run(Diverging)
