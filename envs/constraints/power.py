"""A budget for mechanical power spent, not counting what joints give back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from envs.constraints.budget import Budget
from envs.constraints.knapsack import Array, Namespace
from envs.constraints.notation import entries, total

if TYPE_CHECKING:
    import cvxpy as cp


class Power(Budget):
    """``sum_i max(w_i a_i, 0) <= bound`` within the action box; H+M, W+M and R+M of FlowPG and ACRL-bench.

    ``w`` are joint velocities. Coordinates that brake their joint (w_i a_i <= 0) are free.
    """

    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:
        """The same set for cvxpy."""
        import cvxpy as cp

        w = obs_row[list(self.context_indices)]
        return [cp.sum(cp.pos(cp.multiply(w, x))) <= self.bound, x >= self.lower, x <= self.upper]

    def spend(self, power: Tensor) -> Tensor:
        """See :meth:`Budget.spend`."""
        return power.clamp(min=0)

    def _weight(self, xp: Namespace, direction: Array, context: Array) -> Array:
        # The signs are multiplied, not the numbers, which could underflow.
        return xp.where((direction >= 0) == (context > 0), xp.abs(context), 0.0)

    def _weight_row(self, direction: list[float], context: list[float]) -> list[float]:
        return [abs(w) if (d >= 0) == (w > 0) else 0.0 for d, w in zip(direction, context, strict=True)]

    def _violation(self, xp: Namespace, action: Array, context: Array) -> Array:
        return xp.maximum(context * action, 0.0) @ self._limits(action).ones - self.bound

    def formula(self) -> str:
        """See :meth:`Constraint.formula`."""
        spent = total("max(w{i}a{i}, 0)", self.dim)
        return f"{spent} ≤ {self.bound:g}, {entries('w', self.context_indices)}, {self.box_text()}"
