"""Lets what is written for batches of torch tensors take NumPy arrays and single actions as well."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from envs.errors import UserError

# How many arrays each public method of a constraint takes first.
ARRAYS = {
    "violation": 2,
    "contains": 2,
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
    """Let the public methods that a class of constraints defines take NumPy arrays, single actions, and both.

    A method gives back what it got: of NumPy arrays a NumPy array, of a single action (n,) at a single observation
    (o,) an answer without the batch dimension. Of arrays of two kinds, the action's counts.
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
        # Training calls with batches of tensors: nothing that costs more may stand before this.
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
    """A NumPy array as a tensor, which shares its memory where torch can; anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    try:
        return torch.from_numpy(np.require(value, requirements=("C", "W")))
    except TypeError as error:
        raise UserError(f"action and obs must be float32 or float64, not {value.dtype}") from error
