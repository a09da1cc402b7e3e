"""The harness: it owns the loop, the clock, evaluation, repair of infeasible actions and all counting."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import gymnasium
import torch
from torch import Tensor

from benchmark.records.config import RunConfig
from benchmark.records.results import Calls, Evaluation, FinalPolicy, Returns, Seconds, Violations
from benchmark.records.store import ArtifactStore, RunCheckpoint
from benchmark.training.evaluation import Evaluator, check_action
from benchmark.training.meter import Clock, Meter, PolicyCounter, Repair, ViolationCounter, with_meter
from benchmark.training.visited import is_recorded
from envs.errors import MethodFailedError, RunFailedError, UserError
from envs.registry import TaskSpec
from envs.seeding import derive_seed
from methods.base import Method, Tensors, Transition, make_method

# Enough to show where a policy goes, few enough for the JSON.
FINAL_STATES = 500
# Parts that are not training: evaluation, outputs that are only counted, and writing checkpoints and curves.
OFF_THE_CLOCK = ("evaluate", "count", "checkpoint", "watch")
# The state that a run resumes from, as plain data.
RESUMED = ("done", "episode", "curves", "losses", "visited", "visited_steps")
Progress = Callable[[int], None]
Witness = Callable[[int, Method[Any]], None]
Watch = Callable[[Sequence[Evaluation], Mapping[str, Sequence[float | None]], Violations], None]


@dataclass
class Outcome:
    """The measurements of a run and the method's last state; results of the last policy only if it completed."""

    status: Literal["complete", "timeout"]
    returns: Returns | None
    final_policy: FinalPolicy | None
    violations: Violations
    seconds: Seconds
    calls: Calls
    visited: list[list[float]]
    visited_steps: list[int]
    curves: dict[str, list[float | None]]
    state: dict[str, Tensor] = field(repr=False)


def train(
    task: TaskSpec,
    method_id: str,
    config: RunConfig,
    seed: int,
    artifacts: Path,
    progress: Progress,
    checkpoint: RunCheckpoint | None = None,
    witness: Witness | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Train one method on one task with one seed and measure everything about it.

    ``progress`` is called with the number of steps done. Preparation writes to the folder ``artifacts``. The run
    resumes from the state in ``checkpoint``, if there is one, and saves its own there. After each evaluation, off the
    clock, ``witness`` is called with the step and the method, which it must not change, and ``watch`` with the
    evaluations, curves and violations so far.

    Raises:
        RunFailedError: If the method returns actions of a wrong shape, or any value is not finite; the message names
            the value, its origin and the step.
    """
    clock = Clock()
    meter = Meter(clock)
    method_task = dataclasses.replace(task, constraint=with_meter(task.constraint, meter))
    method = make_method(method_id, method_task, config.method, seed)
    store = ArtifactStore(artifacts, task)
    return _Run(task, method, config, clock, meter, store, progress, checkpoint, witness, watch).train()


@dataclass
class _Run:
    """One training run, step by step.

    A run stops and resumes between two episodes. Each episode's reset is seeded by its number, so the environment has
    no other state to save.
    """

    task: TaskSpec
    method: Method[Any]
    config: RunConfig
    clock: Clock
    meter: Meter
    store: ArtifactStore
    progress: Progress
    checkpoint: RunCheckpoint | None
    witness: Witness | None
    watch: Watch | None
    done: int = 0
    episode: int = 0
    evaluations: list[Evaluation] = field(default_factory=list)
    best_state: Mapping[str, Tensor] = field(default_factory=dict)
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    losses: list[dict[str, float]] = field(default_factory=list)
    visited: list[list[float]] = field(default_factory=list)
    visited_steps: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seed = self.method.seed
        self.step = 0
        solver = self.method.projection_solver
        if solver == "cvxpy":
            # Importing cvxpy takes seconds, which must not count as projection.
            importlib.import_module("envs.constraints.solver")
        self.repair = Repair(self.task.constraint, solver, self.clock, self.meter)
        self.violations = ViolationCounter(self.task.constraint)
        self.evaluator = Evaluator(self.task)

    def train(self) -> Outcome:
        try:
            with self.clock.part("prepare"), self.meter.paused():
                self.method.prepare(self.store)
            self._resume()
            with self.clock.part("other"), closing(self.task.make_env(disable_env_checker=True)) as env:
                status = self._loop(env)
            returns, final_policy, state = self._returns() if status == "complete" else (None, None, {})
        except RunFailedError as error:
            when = f"at step {self.step}" if self.step else "in preparation"
            raise type(error)(f"{error} {when}") from error
        finally:
            self.evaluator.close()
        return Outcome(
            status=status,
            returns=returns,
            final_policy=final_policy,
            violations=self.violations.record(),
            seconds=self._seconds(),
            calls=self.meter.calls,
            visited=self.visited,
            visited_steps=self.visited_steps,
            curves=self.curves,
            state=state,
        )

    def _loop(self, env: gymnasium.Env[Any, Any]) -> Literal["complete", "timeout"]:
        obs = self._reset(env)
        episode_steps = 0
        for step in range(self.done + 1, self.config.steps + 1):
            self.step = step
            obs, ended = self._step(env, obs, step)
            episode_steps += 1
            self.done = step
            if self.config.update_at == "step" or ended or step == self.config.steps:
                self._update(episode_steps)
                episode_steps = 0
            if step % self.config.evaluation.every == 0 or step == self.config.steps:
                self._evaluate(step)
            if self._timed_out():
                return "timeout"
            if ended:
                self.episode += 1
                self._keep()
                obs = self._reset(env)
            self.progress(step)
        return "complete"

    @contextmanager
    def _as_method_failure(self) -> Iterator[None]:
        """Make a UserError a failure of the method: if it diverges, it may give NaN to a constraint."""
        try:
            yield
        except RunFailedError:
            raise
        except UserError as error:
            raise MethodFailedError(f"method '{self.method.id}' failed ({error})") from error

    def _reset(self, env: Any) -> Tensor:
        with self.clock.part("env"):
            observation, _ = env.reset(seed=derive_seed(self.seed, "environment", self.episode))
        return self.task.observed(observation)[None]

    def _step(self, env: Any, obs: Tensor, step: int) -> tuple[Tensor, bool]:
        with self.clock.part("act"), self._as_method_failure():
            policy, behaviour = self.method.act_pair(obs)
        if policy is None and self.method.counted_apart:
            with self.clock.part("count"), self.meter.paused(), self._as_method_failure():
                policy = self.method.act(obs, explore=False)
        for action in (policy, behaviour):
            if action is not None:
                check_action(self.method, action, 1)
        # Count and repair in float64, whatever the precision of the method's networks.
        policy, behaviour = None if policy is None else policy.double(), behaviour.double()
        executed = self.repair(behaviour, obs)
        self.violations.count(policy, behaviour, executed, obs)
        if self.task.constraint.context_indices and is_recorded(step, self.config.steps, self.seed):
            self.visited.append(self.task.constraint.context(obs)[0].tolist())
            self.visited_steps.append(step)
        with self.clock.part("env"):
            # A copy: an environment may write to it.
            observation, reward, terminated, truncated, _ = env.step(executed[0].numpy().copy())
        next_obs = self.task.observed(observation, reward)[None]
        with self.clock.part("update"), self._as_method_failure():
            transition = Transition(obs, behaviour, executed, float(reward), next_obs, terminated, truncated)
            self.method.observe(transition)
        return next_obs, terminated or truncated

    def _update(self, count: int) -> None:
        with self.clock.part("update"), self._as_method_failure():
            for _ in range(count):
                losses = {name: float(value) for name, value in (self.method.update() or {}).items()}
                for name, value in losses.items():
                    if not (isinstance(name, str) and math.isfinite(value)):
                        raise MethodFailedError(f"method '{self.method.id}' returned a loss {name!r} of {value}")
                if losses:
                    self.losses.append(losses)

    def _evaluate(self, step: int) -> None:
        settings = self.config.evaluation
        with self.clock.part("evaluate"), self.meter.paused():
            seeds = [derive_seed(self.seed, "evaluation", step, k) for k in range(settings.episodes)]
            with self._as_method_failure():
                evaluation = self.evaluator.evaluate(self.method, step, seeds)
            if not self.evaluations or evaluation.mean > max(e.mean for e in self.evaluations):
                self.best_state = self.method.state_dict()
            self.evaluations.append(evaluation)
            if self.witness is not None:
                self.witness(step, self.method)
        self._append("step", step)
        self._append("violations/policy", self.violations.policy.count)
        self._append("violations/behaviour", self.violations.behaviour.count)
        # There may be no update between two evaluations, if an episode is longer.
        earlier = {name.removeprefix("update/") for name in self.curves if name.startswith("update/")}
        for name in sorted(earlier.union(*self.losses)):
            values = [losses[name] for losses in self.losses if name in losses]
            try:
                self._append(f"update/{name}", math.fsum(values) / len(values) if values else None)
            except OverflowError as error:
                raise MethodFailedError(
                    f"method '{self.method.id}' returned losses {name!r} that add up to inf"
                ) from error
        self.losses.clear()
        if self.watch is not None:
            with self.clock.part("watch"):
                self.watch(self.evaluations, self.curves, self.violations.record())

    def _append(self, name: str, value: float | None) -> None:
        # Pad a curve that starts late, as losses do after the warm-up, to align it with the steps.
        self.curves.setdefault(name, [None] * (len(self.evaluations) - 1)).append(value)

    def _keep(self) -> None:
        """Save everything that the rest of the run depends on in the checkpoint, if it is time to."""
        if self.checkpoint is None or not self.checkpoint.due():
            return
        with self.clock.part("checkpoint"):
            facts = {name: getattr(self, name) for name in RESUMED}
            facts["evaluations"] = [evaluation.model_dump() for evaluation in self.evaluations]
            facts |= {"violations": self.violations.state(), "calls": self.meter.calls.model_dump()}
            facts["seconds"] = self.clock.seconds
            state: Tensors = {"facts": torch.frombuffer(bytearray(json.dumps(facts).encode()), dtype=torch.uint8)}
            state |= {f"method.{name}": value for name, value in self.method.checkpoint_dict().items()}
            state |= {f"best.{name}": value for name, value in self.best_state.items()}
            self.checkpoint.save(state)

    def _resume(self) -> None:
        """Resume from the checkpoint, if there is one."""
        with self.clock.part("checkpoint"):
            state = None if self.checkpoint is None else self.checkpoint.load()
            if state is None:
                return
            facts = json.loads(bytes(state["facts"].tolist()))
            if not facts.keys() >= set(RESUMED):
                # Written by older code, which kept less: the run starts anew.
                return
            for name in RESUMED:
                setattr(self, name, facts[name])
            self.evaluations = [Evaluation(**evaluation) for evaluation in facts["evaluations"]]
            self.violations.restore(facts["violations"])
            self.meter.calls = Calls(**facts["calls"])
            self.method.load_checkpoint_dict(_part(state, "method."))
            self.best_state = _part(state, "best.")
            # Preparation has been repeated, or its artifacts loaded.
            earlier = {name: seconds for name, seconds in facts["seconds"].items() if name != "prepare"}
            self.clock.seconds |= earlier

    def _timed_out(self) -> bool:
        limit = self.config.timeout_seconds
        return limit is not None and self._seconds().total > limit

    def _returns(self) -> tuple[Returns, FinalPolicy, dict[str, Tensor]]:
        """Evaluate the last policy, counting its violations, and the best one again on the same episodes."""
        settings = self.config.evaluation
        with self.clock.part("evaluate"), self.meter.paused(), self._as_method_failure():
            seeds = [derive_seed(self.seed, "final evaluation", k) for k in range(settings.final_episodes)]
            last = self.method.state_dict()
            counter = PolicyCounter(self.task.constraint)
            final = self.evaluator.evaluate(self.method, self.evaluations[-1].step, seeds, counter)
            while counter.tally.n < settings.judged_steps:
                more = [derive_seed(self.seed, "judged", counter.tally.n, k) for k in range(settings.final_episodes)]
                self.evaluator.evaluate(self.method, self.evaluations[-1].step, more, counter)
            best_step = max(self.evaluations, key=lambda evaluation: evaluation.mean).step
            self.method.load_state_dict(self.best_state)
            best = self.evaluator.evaluate(self.method, best_step, seeds)
            self.method.load_state_dict(last)
        final_policy = FinalPolicy(violations=counter.tally.record(), contexts=counter.contexts(FINAL_STATES))
        return Returns(final=final, best=best, evaluations=self.evaluations), final_policy, last

    def _seconds(self) -> Seconds:
        parts = dict(self.clock.seconds)
        # Preparation is charged the cost of making its artifacts, not the time to load them.
        parts["prepare"] = parts.get("prepare", 0.0) - self.store.waited + self.store.cost
        total = sum(seconds for name, seconds in parts.items() if name not in OFF_THE_CLOCK)
        return Seconds(total=total, **{name: parts.get(name, 0.0) for name in Seconds.model_fields if name != "total"})


def _part(state: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
