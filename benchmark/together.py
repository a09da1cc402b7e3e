"""The harness for many seeds of one task and method as one batch.

Every seed is a run by the harness's own loop (``benchmark/harness.py``), which takes turns with the others: it halts
where it wants an action, an environment step or an update, and goes on when that was done for all who wait. A seed's
own sequence of steps and updates is what it would be alone; only whose turn it is differs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, cast

import gymnasium
import torch
from greenlet import GreenletExit, getcurrent, greenlet
from torch import Tensor

from benchmark.clock import Clock, MeteredConstraint
from benchmark.config import RunConfig
from benchmark.harness import Outcome, _Run
from benchmark.store import ArtifactStore
from envs.constraints.base import Constraint
from envs.errors import UserError
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
) -> dict[int, Outcome | Exception]:
    """Train several seeds of one method on one task as one batch; see :func:`benchmark.harness.train`.

    Wall-clock of every seed is that of the batch, since each waits for all. A batch that is killed starts anew.

    Args:
        task: The task.
        method_id: The method, one that stands on DDPG.
        config: Resolved configuration.
        seeds: Sources of all randomness.
        artifacts: Folder of what preparation makes.
        progress: Called with a seed's place and the number of its steps done.
        device: Where networks and updates are, "cpu" or "cuda".
        batched: See :class:`methods.together.StackedLinear`.

    Returns:
        By seed, what was measured or why that seed failed.

    Raises:
        UserError: If seeds of this method cannot be trained together, or there is no such device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("no GPU that torch can use: leave --device cuda out, or install torch's CUDA build")
    batch = _Batch(task, method_id, config, seeds, artifacts, torch.device(device), batched)
    return dict(zip(seeds, batch.train(config, progress), strict=True))


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
            with meter.unmetered():
                method.prepare(store)
        self.together = SeedsTogether(members, lead, device, batched)
        self.pool = ThreadPoolExecutor()

    def train(self, config: RunConfig, progress: Progress) -> list[Outcome | Exception]:
        """Let the runs take turns until all have ended."""
        hub = getcurrent()
        found: dict[int, Outcome | Exception] = {}

        def body(seat: int) -> Callable[[], None]:
            def live() -> None:
                try:
                    found[seat] = self._run(seat, config, lambda step: progress(seat, step)).train()
                except GreenletExit:
                    raise
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
                answers = self._serve(kind, asked)
                for seat in asked:
                    requests[seat] = turns[seat].switch(answers[seat])
        finally:
            for turn in turns.values():
                turn.throw()
            self.pool.shutdown()
        return [found[seat] for seat in seats]

    def _run(self, seat: int, config: RunConfig, progress: Callable[[int], None]) -> _Run:
        method, meter, store = _Member(self.together, seat), self.meters[seat], self.stores[seat]
        return _Run(self.task, method, config, self.clocks[seat], meter, store, progress, None)

    def _serve(self, kind: str, asked: Mapping[int, Any]) -> Mapping[int, Any]:
        """Do for all who ask what they ask for."""
        if kind == "act":
            return self.together.act_pairs(asked)
        if kind == "evaluate":
            return self.together.act(asked)
        if kind == "step":
            # MuJoCo lets other threads run while it steps.
            return dict(zip(asked, self.pool.map(lambda call: call(), asked.values()), strict=True))
        losses = self.together.update()
        self._charge()
        whole = all(torch.isfinite(torch.tensor(value)) for value in losses.values())
        return {seat: losses if whole else self._losses_of(seat) for seat in asked}

    def _losses_of(self, seat: int) -> dict[str, float]:
        """A seed that diverged spoils the mean over all: it hears so, and the others hear nothing."""
        return {"critic_loss": float("nan")} if self.together.broken(seat) else {}

    def _charge(self) -> None:
        """Count what the batch asked of the constraint for the seeds, each with its share of the rows."""
        spent = self.meter._clock.seconds.pop("project", 0.0)
        calls = self.meter.calls
        for meter, clock in zip(self.meters, self.clocks, strict=True):
            for name in ("project", "oracle"):
                setattr(meter.calls, name, getattr(meter.calls, name) + getattr(calls, name))
                rows = getattr(calls, f"{name}_rows") // len(self.meters)
                setattr(meter.calls, f"{name}_rows", getattr(meter.calls, f"{name}_rows") + rows)
            clock.seconds["project"] = clock.seconds.get("project", 0.0) + spent
            clock.seconds["update"] = clock.seconds.get("update", 0.0) - spent
        self.meter.calls = type(calls)()


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


def ask(kind: str, about: Any) -> Any:
    """Halt the run that calls this until it was served."""
    hub = getcurrent().parent
    assert hub is not None
    return hub.switch((kind, about))


def metered_task(task: TaskSpec, meter: MeteredConstraint) -> TaskSpec:
    """The task as a method sees it."""
    return dataclasses.replace(task, constraint=cast(Constraint, meter))
