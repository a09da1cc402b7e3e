"""Counts constraint violations, for the harness: what the policy put out, what noise made of it, what was executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from benchmark.records.results import TOLERANCE_KEYS, TOLERANCES, ViolationCount, Violations
from envs.constraints.base import Constraint


@dataclass
class Tally:
    """Running count of summed positive violations of one kind of action.

    Attributes:
        n: Actions judged.
        count: Those with a positive summed violation.
        sum: Of the violations.
        max: Of the violations.
        valid: Actions within each tolerance.
    """

    n: int = 0
    count: int = 0
    sum: float = 0.0
    max: float = 0.0
    valid: list[int] = field(default_factory=lambda: [0] * len(TOLERANCES))

    def add(self, size: float) -> None:
        """Count one action whose summed positive violation is ``size``."""
        self.n += 1
        if size > 0:
            self.count += 1
            self.sum += size
            self.max = max(self.max, size)
        for index, tol in enumerate(TOLERANCES):
            self.valid[index] += size <= tol

    def record(self) -> ViolationCount:
        """The count so far; shares are 1 where nothing was judged."""
        shares = [valid / self.n if self.n else 1.0 for valid in self.valid]
        return ViolationCount(
            n=self.n,
            count=self.count,
            mean=self.sum / self.count if self.count else 0.0,
            max=self.max,
            valid_share=dict(zip(TOLERANCE_KEYS, shares, strict=True)),
        )


class PolicyCounter:
    """Counts violations of a policy's raw output in episodes of evaluation, and keeps the contexts of these."""

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
        """At most so many contexts, evenly spaced, with the digits of single precision."""
        if not self._contexts:
            return []
        rows = torch.cat(self._contexts)
        chosen = rows[:: max(1, -(-len(rows) // most))]
        return [[float(f"{value:.7g}") for value in row] for row in chosen.tolist()]


class ViolationCounter:
    """Counts violations of every action of a run, in float64, at the state that the action was chosen in."""

    def __init__(self, constraint: Constraint) -> None:
        self._constraint = constraint
        self.policy, self.behaviour, self.executed = Tally(), Tally(), Tally()

    def count(self, policy: Tensor | None, behaviour: Tensor, executed: Tensor, obs: Tensor) -> None:
        """Count one step's actions (1, n); the policy's is None where it had no say."""
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
        """Go on from :meth:`state`."""
        for name, counts in state.items():
            setattr(self, name, Tally(**counts))

    def record(self) -> Violations:
        """All counts so far."""
        return Violations(
            policy=self.policy.record(), behaviour=self.behaviour.record(), executed=self.executed.record()
        )
