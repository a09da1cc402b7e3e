"""The harness's instruments: its clock, the meter of calls, repair, and the counts of violations."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from benchmark.records.results import TOLERANCE_KEYS, TOLERANCES, Calls, ViolationCount, Violations
from envs.constraints.base import Constraint
from envs.errors import RunFailedError
from envs.seeding import make_generator


class Clock:
    """Wall-clock by part. Time in a nested part does not count for the outer one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._parts: list[str] = []
        self._since = time.perf_counter()

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._parts:
            part = self._parts[-1]
            self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the time inside the context for ``name``."""
        self._switch()
        self._parts.append(name)
        try:
            yield
        finally:
            self._switch()
            self._parts.pop()


class Meter:
    """Counts and times projections and oracle calls of the method and the harness.

    Calls during preparation and evaluation are neither counted nor timed: only the first run of a task draws samples,
    and evaluation is off the clock.

    Args:
        clock: The clock whose part "project" includes projections.
    """

    def __init__(self, clock: Clock) -> None:
        self.calls = Calls()
        self._clock = clock
        self._paused = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Neither count nor time calls inside the context."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    @contextmanager
    def projecting(self, rows: int) -> Iterator[None]:
        """Count and time a projection of ``rows`` actions; nested calls are part of it."""
        if self._paused:
            yield
            return
        self.calls.project += 1
        self.calls.project_rows += rows
        with self._clock.part("project"), self.paused():
            yield

    @contextmanager
    def asking(self, rows: int) -> Iterator[None]:
        """Count an oracle call of ``rows`` gradients; its time belongs to the caller."""
        if not self._paused:
            self.calls.oracle += 1
            self.calls.oracle_rows += rows
        with self.paused():
            yield


class Metered(Constraint):
    """Mixin of metered constraints: the method's calls count, nested ones do not."""

    _meter: Meter

    def sample(self, obs: Tensor, generator: torch.Generator) -> Tensor:
        """See :meth:`Constraint.sample`."""
        with self._meter.paused():
            return super().sample(obs, generator)

    def interior(self, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.interior`."""
        with self._meter.paused():
            return super().interior(obs)

    def gauge(self, direction: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.gauge`."""
        with self._meter.paused():
            return super().gauge(direction, obs)

    def project(self, action: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.project`."""
        with self._meter.projecting(len(action)):
            return super().project(action, obs)

    def project_by_solver(self, action: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.project_by_solver`."""
        with self._meter.projecting(len(action)):
            return super().project_by_solver(action, obs)

    def linear_oracle(self, gradient: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.linear_oracle`."""
        with self._meter.asking(len(gradient)):
            return super().linear_oracle(gradient, obs)


def with_meter(constraint: Constraint, meter: Meter) -> Constraint:
    """A copy of a constraint, of the same family, whose projections and oracle calls are metered."""
    family = type(constraint)
    metered = copy.copy(constraint)
    # A dynamic class, so a metered ball is still a Ball.
    metered.__class__ = type(family.__name__, (Metered, family), {})
    vars(metered)["_meter"] = meter
    return metered


@dataclass(frozen=True)
class Repair:
    """Repairs actions during training; all of its time counts as projection.

    The solver ``"exact"`` leaves feasible actions unchanged; ``"cvxpy"`` solves for every action.
    """

    constraint: Constraint
    solver: Literal["exact", "cvxpy"]
    clock: Clock
    meter: Meter

    def __call__(self, action: Tensor, obs: Tensor) -> Tensor:
        """The actions (B, n) to execute in place of ``action`` at observations (B, o)."""
        with self.clock.part("project"):
            if self.solver == "cvxpy":
                with self.meter.projecting(len(action)):
                    return self.constraint.repair_by_solver(action, obs)
            if bool(self.constraint.executable(action, obs).all()):
                return action
            with self.meter.projecting(len(action)):
                return self.constraint.repair(action, obs)


@dataclass
class Tally:
    """Running count of summed positive violations of one kind of action.

    Attributes:
        n: Number of actions judged.
        count: Number with a positive summed violation.
        sum: Sum of the violations.
        max: Largest violation.
        valid: Number within each tolerance.
    """

    n: int = 0
    count: int = 0
    sum: float = 0.0
    max: float = 0.0
    valid: list[int] = field(default_factory=lambda: [0] * len(TOLERANCES))

    def add(self, size: float) -> None:
        """Count one action whose summed positive violation is ``size``.

        Raises:
            RunFailedError: If ``size`` or the sum of all sizes is not finite.
        """
        if not math.isfinite(self.sum + size):
            raise RunFailedError(f"the constraint returned a violation of {size}, which cannot be summed")
        self.n += 1
        if size > 0:
            self.count += 1
            self.sum += size
            self.max = max(self.max, size)
        for index, tol in enumerate(TOLERANCES):
            self.valid[index] += size <= tol

    def record(self) -> ViolationCount:
        """The count so far."""
        shares = [valid / self.n if self.n else None for valid in self.valid]
        return ViolationCount(
            n=self.n,
            count=self.count,
            mean=self.sum / self.count if self.count else 0.0,
            max=self.max,
            valid_share=dict(zip(TOLERANCE_KEYS, shares, strict=True)),
        )


class PolicyCounter:
    """Counts violations of a policy's raw output in evaluation episodes, and keeps their contexts."""

    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint
        self.tally = Tally()
        self._contexts: list[Tensor] = []

    def __call__(self, action: Tensor, obs: Tensor) -> None:
        """Count raw actions (B, n) at observations (B, o)."""
        for size in self._constraint.violation(action, obs).clamp(min=0).sum(dim=1).tolist():
            self.tally.add(size)
        if self._constraint.context_indices:
            self._contexts.append(self._constraint.context(obs))

    def contexts(self, most: int) -> list[list[float]]:
        """At most ``most`` contexts, drawn at random and in order, with the digits of single precision."""
        if not self._contexts:
            return []
        rows = torch.cat(self._contexts)
        # Rows come step by step from parallel episodes, so every n-th row could always be the same episode's.
        chosen = rows[torch.randperm(len(rows), generator=make_generator(0, "contexts"))[:most].sort().values]
        return [[float(f"{value:.7g}") for value in row] for row in chosen.tolist()]


class ViolationCounter:
    """Counts violations of every action of a run, in float64, at the state in which it was chosen."""

    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint
        self.policy, self.behaviour, self.executed = Tally(), Tally(), Tally()

    def count(self, policy: Tensor | None, behaviour: Tensor, executed: Tensor, obs: Tensor) -> None:
        """Count one step's actions (1, n); ``policy`` is None if the policy did not choose."""
        given = [(self.behaviour, behaviour), (self.executed, executed)]
        given += [(self.policy, policy)] if policy is not None else []
        actions = torch.cat([action for _, action in given])
        sizes = self._constraint.violation(actions, obs.expand(len(given), -1)).clamp(min=0).sum(dim=1).tolist()
        for (tally, _), size in zip(given, sizes, strict=True):
            tally.add(size)

    def state(self) -> dict[str, Any]:
        """All counts so far as plain data."""
        return {name: asdict(tally) for name, tally in vars(self).items() if isinstance(tally, Tally)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the counts of :meth:`state`."""
        for name, counts in state.items():
            setattr(self, name, Tally(**counts))

    def record(self) -> Violations:
        """All counts so far."""
        return Violations(
            policy=self.policy.record(), behaviour=self.behaviour.record(), executed=self.executed.record()
        )
