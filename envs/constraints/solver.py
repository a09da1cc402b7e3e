"""The general solution with cvxpy: slow, and exact to the solver's tolerance, for any convex constraint.

It is the default for new constraints, and the "QP at every step" that exact projections are compared with.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
from cvxpy.expressions.constants.callback_param import CallbackParam
from numpy.typing import NDArray

from envs.errors import UserError

# Builds the objective from the variable and the parameter vector (n,).
Objective = Callable[[cp.Variable, cp.Parameter], Any]
ConstraintBuilder = Callable[[cp.Variable, Any], list[Any]]
Formula = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class ParametrisedProgram:
    """Minimise ``objective(x, p)`` over C(s), compiled once and solved with CLARABEL for many (p, s).

    Args:
        dim: Action dimension n.
        objective: Builds the objective from the variable (n,) and the parameter (n,).
        constraints: ``Constraint.cvxpy_constraints``.
        settings: CLARABEL settings; its defaults are used when empty.
    """

    def __init__(
        self, dim: int, objective: Objective, constraints: ConstraintBuilder, settings: dict[str, Any] | None = None
    ) -> None:
        self._objective = objective
        self._constraints = constraints
        self._settings = settings or {}
        self._variable = cp.Variable(dim)
        self._parameter = cp.Parameter(dim)
        self._obs: cp.Parameter | None = None
        self._compiled: cp.Problem | None = None

    def _problem(self, obs_row: NDArray[np.float64]) -> cp.Problem:
        """The compiled problem with this observation, or a new one if it cannot be compiled once."""
        if not obs_row.size:
            return self._build(obs_row)
        if self._obs is None or self._obs.shape != obs_row.shape:
            self._obs = cp.Parameter(obs_row.shape)
            problem = self._build(self._obs)
            self._compiled = problem if problem.is_dcp(dpp=True) else None
        if self._compiled is None:
            return self._build(obs_row)
        self._obs.value = obs_row
        return self._compiled

    def _build(self, obs: Any) -> cp.Problem:
        objective = cp.Minimize(self._objective(self._variable, self._parameter))
        return cp.Problem(objective, self._constraints(self._variable, obs))

    def solve(self, parameter: NDArray[np.float64], obs_row: NDArray[np.float64]) -> NDArray[np.float64]:
        """The minimiser, shape (n,).

        Raises:
            UserError: If the constraint set is empty or the solver fails.
        """
        self._parameter.value = parameter
        problem = self._problem(obs_row)
        try:
            with warnings.catch_warnings():
                # The harness measures the inaccuracy on executed actions.
                warnings.filterwarnings("ignore", "Solution may be inaccurate")
                # A warm start would reuse the first problem's scaling, so results would depend on earlier problems.
                problem.solve(solver=cp.CLARABEL, warm_start=False, **self._settings)
        except cp.SolverError as error:
            raise UserError(f"cvxpy could not solve this constraint: {error}") from error
        if problem.status in cp.settings.INF_OR_UNB:
            raise UserError("the constraint set is empty at this observation: check its bounds")
        value = self._variable.value
        if value is None:
            raise UserError(f"cvxpy found no solution for this constraint (status {problem.status})")
        return np.asarray(value, dtype=np.float64)


def derived(obs_row: Any, formula: Formula) -> Any:
    """Coefficients that are not affine in the observation, in a form that lets problems be compiled once.

    Args:
        obs_row: As in ``Constraint.cvxpy_constraints``.
        formula: Computes the coefficients for one observation (o,).

    Returns:
        The coefficients for an array; for a ``cvxpy.Parameter``, a parameter that follows its value.
    """
    if not isinstance(obs_row, cp.Parameter):
        return formula(np.asarray(obs_row, dtype=np.float64))
    return CallbackParam(lambda: formula(obs_row.value), formula(np.zeros(obs_row.shape)).shape)
