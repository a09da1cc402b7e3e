"""Lets methods written for batches of torch tensors accept NumPy arrays and single actions as well."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envs.errors import UserError

# The number of leading array arguments of each public method of a constraint.
ARRAYS = {
    "violation": 2,
    "contains": 2,
    "scaled_violation": 2,
    "project": 2,
    "project_by_solver": 2,
    "linear_oracle": 2,
    "repair": 2,
    "repair_by_solver": 2,
    "executable": 2,
    "gauge": 2,
    "interior": 1,
    "sample": 1,
}


def accept_arrays(cls: type) -> None:
    """Let the public methods of a constraint class accept NumPy arrays, single actions, and both.

    A method returns the kind it was given: NumPy arrays for NumPy arrays, and results without the batch dimension for a
    single action (n,) at a single observation (o,). If the kinds of two arrays differ, the action's counts.
    """
    for name, count in ARRAYS.items():
        if name in vars(cls):
            setattr(cls, name, _converting(vars(cls)[name], count))
    if "cvxpy_constraints" in vars(cls):
        cls.cvxpy_constraints = _with_numpy_row(vars(cls)["cvxpy_constraints"])  # type: ignore[attr-defined]


def _converting(method: Callable[..., Tensor], count: int) -> Callable[..., Any]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def call(self: Any, *given: Any, **named: Any) -> Any:
        if len(given) < count:
            bound = signature.bind(self, *given, **named)
            return call(*bound.args, **bound.kwargs)
        first, last = given[0], given[count - 1]
        # Training calls with batches of tensors, so this check comes first.
        if type(first) is type(last) is Tensor and first.ndim == 2 == last.ndim:
            return method(self, *given, **named)
        arrays, others = [_as_tensor(value) for value in given[:count]], given[count:]
        single = all(isinstance(value, Tensor) and value.ndim == 1 for value in arrays)
        if single:
            arrays = [value[None] for value in arrays]
        answer = method(self, *arrays, *others, **named)
        if single:
            answer = answer[0]
        return answer.detach().numpy() if isinstance(first, np.ndarray) else answer

    return call


def _with_numpy_row(method: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    @functools.wraps(method)
    def call(self: Any, x: Any, obs_row: Any) -> list[Any]:
        return method(self, x, obs_row.detach().numpy() if isinstance(obs_row, Tensor) else obs_row)

    return call


def _as_tensor(value: Any) -> Any:
    """A NumPy array as a tensor, with shared memory if torch can; anything else unchanged."""
    if not isinstance(value, np.ndarray):
        return value
    try:
        return torch.from_numpy(np.require(value, requirements=("C", "W")))
    except TypeError as error:
        raise UserError(f"action and obs must be float32 or float64, not {value.dtype}") from error
