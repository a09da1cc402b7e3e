"""The harness for many seeds of one task and method as one batch.

Every seed is a run by the harness's own loop (``benchmark/harness.py``), which takes turns with the others: it halts
where it wants an action, an environment step or an update, and goes on when that was done for all who wait. A seed's
own sequence of steps and updates is what it would be alone; only whose turn it is differs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, cast

import gymnasium
import torch
from greenlet import getcurrent, greenlet
from torch import Tensor

from benchmark.checkpoint import RunCheckpoint
from benchmark.clock import Clock, MeteredConstraint
from benchmark.config import RunConfig
from benchmark.harness import Outcome, _Run
from benchmark.results import Calls
from benchmark.store import ArtifactStore
from benchmark.together_checkpoint import BatchCheckpoint
from envs.constraints.base import Constraint
from envs.errors import MethodFailedError, UserError
from envs.registry import TaskSpec
from methods.base import Artifacts, Method, Tensors, Transition, make_method
from methods.together import SeedsTogether

# In the order in which requests are served: an update is only made when nobody waits for anything else.
KINDS = ("act", "evaluate", "step", "update")
Progress = Callable[[int, int], None]


def train_together(
    task: TaskSpec,
    method_id: str,
    config: RunConfig,
    seeds: Sequence[int],
    artifacts: Path,
    progress: Progress,
    device: str = "cpu",
    batched: bool | None = None,
    checkpoint: RunCheckpoint | None = None,
) -> dict[int, Outcome | Exception]:
    """Train several seeds of one method on one task as one batch; see :func:`benchmark.harness.train`.

    Wall-clock of every seed is that of the batch, since each waits for all, for their evaluations too where episodes
    differ in length.

    Args:
        task: The task.
        method_id: The method, one that stands on DDPG.
        config: Resolved configuration.
        seeds: Sources of all randomness.
        artifacts: Folder of what preparation makes.
        progress: Called with a seed's place and the number of its steps done.
        device: Where networks and updates are, "cpu" or "cuda".
        batched: See :class:`methods.together.StackedLinear`.
        checkpoint: Where an interrupted batch left its state, and where this one leaves its own.

    Returns:
        By seed, what was measured or why that seed failed.

    Raises:
        UserError: If seeds of this method cannot be trained together, or there is no such device.
    """
    check_device(device)
    batch = _Batch(task, method_id, config, seeds, artifacts, torch.device(device), batched, checkpoint)
    return dict(zip(seeds, batch.train(config, progress), strict=True))


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        UserError: If it is not.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("no GPU that torch can use: leave --device cuda out, or install torch's CUDA build")


class _Batch:
    """The runs of all seeds, and what is done for them at once."""

    def __init__(
        self,
        task: TaskSpec,
        method_id: str,
        config: RunConfig,
        seeds: Sequence[int],
        artifacts: Path,
        device: torch.device,
        batched: bool | None,
        checkpoint: RunCheckpoint | None,
    ) -> None:
        # What a run makes of the task, for training and evaluation, are environments that wait for each other.
        self.task = _WaitingTask(**vars(task))
        self.clocks = [Clock() for _ in seeds]
        self.meters = [MeteredConstraint(task.constraint, clock) for clock in self.clocks]
        self.stores = [ArtifactStore(artifacts, task) for _ in seeds]
        self.meter = MeteredConstraint(task.constraint, Clock())
        members = [
            make_method(method_id, metered_task(task, meter), config.method, seed)
            for meter, seed in zip(self.meters, seeds, strict=True)
        ]
        lead = make_method(method_id, metered_task(task, self.meter), config.method, seeds[0])
        for meter, method, store in zip(
            [*self.meters, self.meter], [*members, lead], [*self.stores, ArtifactStore(artifacts, task)], strict=True
        ):
            with meter._clock.part("prepare"), meter.unmetered():
                method.prepare(store)
        self.together = SeedsTogether(members, lead, device, batched)
        self.pool = ThreadPoolExecutor()
        self.checkpoint = None if checkpoint is None else BatchCheckpoint(checkpoint, len(members))

    def train(self, config: RunConfig, progress: Progress) -> list[Outcome | Exception]:
        """Let the runs take turns until all have ended."""
        hub = getcurrent()
        found: dict[int, Outcome | Exception] = {}

        def body(seat: int) -> Callable[[], None]:
            def live() -> None:
                try:
                    found[seat] = self._run(seat, config, lambda step: progress(seat, step)).train()
                except Exception as error:  # whatever a method raises ends its own run only
                    found[seat] = error

            return live

        seats = range(len(self.clocks))
        turns = {seat: greenlet(body(seat), parent=hub) for seat in seats}
        try:
            requests = {seat: turn.switch() for seat, turn in turns.items()}
            while waiting := {seat: request for seat, request in requests.items() if seat not in found}:
                kind = next(kind for kind in KINDS if any(request[0] == kind for request in waiting.values()))
                asked = {seat: request[1] for seat, request in waiting.items() if request[0] == kind}
                for seat, answer in self._serve(kind, asked).items():
                    go_on = turns[seat].throw if isinstance(answer, Exception) else turns[seat].switch
                    requests[seat] = go_on(answer)
                    if seat in found:
                        self.together.leave(seat)
        finally:
            for turn in turns.values():
                turn.throw()
            self.pool.shutdown()
        return [found[seat] for seat in seats]

    def _run(self, seat: int, config: RunConfig, progress: Callable[[int], None]) -> _Run:
        method, meter, store = _Member(self.together, seat), self.meters[seat], self.stores[seat]
        own = None if self.checkpoint is None else self.checkpoint.seats[seat]
        return _Run(self.task, method, config, self.clocks[seat], meter, store, progress, own)

    def _serve(self, kind: str, asked: Mapping[int, Any]) -> Mapping[int, Any]:
        """Do for those who ask what they ask for; an exception in place of an answer ends that seed's run.

        Where the batch as a whole fails, those whose networks diverged are to blame, and the others ask again.
        """
        if kind == "step":
            if self.checkpoint is not None:
                self.checkpoint.moved()
            # MuJoCo lets other threads run while it steps.
            return dict(zip(asked, self.pool.map(attempt, asked.values()), strict=True))
        try:
            if kind == "act":
                pairs = self.together.act_pairs(asked)
                self._charge("act", [seat for seat, (policy, _) in pairs.items() if policy is not None])
                return pairs
            if kind == "evaluate":
                with self.meter.unmetered():
                    return self.together.act(asked)
            losses = self.together.update()
        except Exception as error:
            return self._diverged() or dict.fromkeys(asked, error)
        self._charge("update", list(asked))
        if all(map(math.isfinite, losses.values())):
            return dict.fromkeys(asked, losses)
        # One seed that diverged spoils the mean over all: the others hear nothing.
        return {seat: {} for seat in asked} | self._diverged()

    def _diverged(self) -> dict[int, Exception]:
        error = MethodFailedError("its networks hold NaN or infinity; it diverged")
        return dict.fromkeys(self.together.broken(), error)

    def _charge(self, part: str, seats: Sequence[int]) -> None:
        """Count what the batch asked of the constraint for these seeds, each with its share of the rows."""
        spent = self.meter._clock.seconds.pop("project", 0.0)
        calls, self.meter.calls = self.meter.calls, Calls()
        for seat in seats:
            own, seconds = self.meters[seat].calls, self.clocks[seat].seconds
            own.project += calls.project
            own.oracle += calls.oracle
            own.project_rows += calls.project_rows // len(self.meters)
            own.oracle_rows += calls.oracle_rows // len(self.meters)
            seconds["project"] = seconds.get("project", 0.0) + spent
            seconds[part] = seconds.get(part, 0.0) - spent


class _WaitingTask(TaskSpec):
    """The task, with environments whose steps are made when those of all seeds are."""

    def make_env(self, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        """See :meth:`TaskSpec.make_env`."""
        return _WaitingEnv(super().make_env(**kwargs))


class _WaitingEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    def step(self, action: Any) -> Any:
        """See ``gymnasium.Env.step``."""
        return ask("step", lambda: self.env.step(action))


class _Member(Method[Any]):
    """One seed's method, as its run sees it: what can be done for all at once waits for that, the rest is its own."""

    def __init__(self, together: SeedsTogether, seat: int) -> None:
        self.together = together
        self.seat = seat
        self.own = own = together.members[seat]
        self.id = own.id  # type: ignore[misc]
        super().__init__(own.task, own.config, own.seed)

    @property
    def projection_solver(self) -> Literal["exact", "cvxpy"]:
        """See :attr:`Method.projection_solver`."""
        return self.own.projection_solver

    def prepare(self, artifacts: Artifacts | None = None) -> None:
        """Done already; see :meth:`Method.prepare`."""

    def act(self, obs: Tensor, explore: bool) -> Tensor:
        """See :meth:`Method.act`."""
        assert not explore, "the harness explores by act_pair"
        action: Tensor = ask("evaluate", obs)
        return action

    def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        """See :meth:`Method.act_pair`."""
        pair: tuple[Tensor | None, Tensor] = ask("act", obs)
        return pair

    def observe(self, transition: Transition) -> None:
        """See :meth:`Method.observe`."""
        self.together.observe(self.seat, transition)

    def update(self) -> dict[str, float]:
        """See :meth:`Method.update`."""
        if not self.together.learns(self.seat):
            return {}
        losses: dict[str, float] = ask("update", None)
        return losses

    def state_dict(self) -> Tensors:
        """See :meth:`Method.state_dict`."""
        return {name: value.cpu() for name, value in self.own.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.load_state_dict`."""
        self.own.load_state_dict(state)

    def checkpoint_dict(self) -> Tensors:
        """See :meth:`Method.checkpoint_dict`."""
        return {name: value.cpu() for name, value in self.own.checkpoint_dict().items()}

    def load_checkpoint_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.load_checkpoint_dict`."""
        self.together.resume(self.seat, state)


def attempt(call: Callable[[], Any]) -> Any:
    """What a call returns, or the exception that it ended with."""
    try:
        return call()
    except Exception as error:
        return error


def ask(kind: str, about: Any) -> Any:
    """Halt the run that calls this until it was served.

    Raises:
        Exception: What serving it ended with.
    """
    hub = getcurrent().parent
    assert hub is not None
    return hub.switch((kind, about))


def metered_task(task: TaskSpec, meter: MeteredConstraint) -> TaskSpec:
    """The task as a method sees it."""
    return dataclasses.replace(task, constraint=cast(Constraint, meter))
