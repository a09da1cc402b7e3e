"""The clock and the meter of a run: the harness owns both, so that no method times or counts itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

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


class MeteredConstraint:
    """A constraint whose projections and oracle calls are timed and counted, whoever makes them.

    Everything else is the constraint's own. What preparation and evaluation ask for is neither counted nor timed apart:
    the first run of a task draws samples and the others load them, and evaluation is off the clock.

    Args:
        constraint: The task's.
        clock: Projections count for its part "project".
    """

    def __init__(self, constraint: Constraint, clock: Clock) -> None:
        self._constraint = constraint
        self._clock = clock
        self.calls = Calls()
        self.solver: Literal["exact", "cvxpy"] = "exact"
        self._metering = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_constraint":
            raise AttributeError(name)
        return getattr(self._constraint, name)

    def project(self, action: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.project`."""
        with self._projecting(action):
            return self._constraint.project(action, obs)

    def project_by_solver(self, action: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.project_by_solver`."""
        with self._projecting(action):
            return self._constraint.project_by_solver(action, obs)

    def linear_oracle(self, gradient: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.linear_oracle`; counted apart, its time belongs to whoever asks."""
        if self._metering:
            self.calls.oracle += 1
            self.calls.oracle_rows += len(gradient)
        return self._constraint.linear_oracle(gradient, obs)

    def repair(self, action: Tensor, obs: Tensor) -> Tensor:
        """The action that is executed: feasible ones as they are, unless the solver is cvxpy, which always solves."""
        with self._clock.part("project"):
            if self.solver == "exact":
                if bool(self._constraint.executable(action, obs).all()):
                    return action
                self._count_projection(action)
                return self._constraint.repair(action, obs)
            self._count_projection(action)
            return self._constraint.repair_by_solver(action, obs)

    @contextmanager
    def unmetered(self) -> Iterator[None]:
        """Neither count nor time apart what is asked for inside."""
        self._metering = False
        try:
            yield
        finally:
            self._metering = True

    @contextmanager
    def _projecting(self, action: Tensor) -> Iterator[None]:
        if not self._metering:
            yield
            return
        self._count_projection(action)
        with self._clock.part("project"):
            yield

    def _count_projection(self, action: Tensor) -> None:
        self.calls.project += 1
        self.calls.project_rows += len(action)
