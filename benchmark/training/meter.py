"""The clock and the meter of a run: the harness owns both, so that no method times or counts itself."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from benchmark.records.results import Calls
from envs.constraints.base import Constraint


class Clock:
    """Wall-clock by part. Parts nest exclusively: time in an inner part does not count for the outer one."""

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
        """Count the time inside for ``name``."""
        self._switch()
        self._parts.append(name)
        try:
            yield
        finally:
            self._switch()
            self._parts.pop()


class Meter:
    """Counts and times projections and oracle calls, whoever makes them.

    What preparation and evaluation ask for is neither counted nor timed apart: the first run of a task draws samples
    and the others load them, and evaluation is off the clock.

    Args:
        clock: Projections count for its part "project".
    """

    def __init__(self, clock: Clock) -> None:
        self.calls = Calls()
        self._clock = clock
        self._paused = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Neither count nor time apart what is asked for inside."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    @contextmanager
    def projecting(self, rows: int) -> Iterator[None]:
        """Count a projection of so many actions, and time it; what it asks for inside is part of it."""
        if self._paused:
            yield
            return
        self.calls.project += 1
        self.calls.project_rows += rows
        with self._clock.part("project"), self.paused():
            yield

    @contextmanager
    def asking(self, rows: int) -> Iterator[None]:
        """Count an oracle call of so many gradients; its time belongs to whoever asks."""
        if not self._paused:
            self.calls.oracle += 1
            self.calls.oracle_rows += rows
        with self.paused():
            yield


class Metered(Constraint):
    """What a metered constraint adds to its family: what a method asks for counts, what that takes inside does not."""

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
    # A class made on the spot, so that a metered ball is still a Ball.
    metered.__class__ = type(family.__name__, (Metered, family), {})
    vars(metered)["_meter"] = meter
    return metered
