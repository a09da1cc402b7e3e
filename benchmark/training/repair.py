"""Repair: the feasible action that is executed in place of what a method asked for."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from benchmark.training.meter import Clock, Meter
from envs.constraints.base import Constraint


class Repair:
    """Repairs actions during training; its time counts as projection, whether there was anything to repair or not.

    Args:
        constraint: The task's.
        solver: ``"exact"`` leaves feasible actions as they are, ``"cvxpy"`` solves for every action.
        clock: Of the run.
        meter: Counts the projections.
    """

    def __init__(self, constraint: Constraint, solver: Literal["exact", "cvxpy"], clock: Clock, meter: Meter) -> None:
        self._constraint = constraint
        self._solver = solver
        self._clock = clock
        self._meter = meter

    def __call__(self, action: Tensor, obs: Tensor) -> Tensor:
        """The actions (B, n) that are executed in place of ``action`` at observations (B, o)."""
        with self._clock.part("project"):
            if self._solver == "cvxpy":
                with self._meter.projecting(len(action)):
                    return self._constraint.repair_by_solver(action, obs)
            if bool(self._constraint.executable(action, obs).all()):
                return action
            with self._meter.projecting(len(action)):
                return self._constraint.repair(action, obs)
