"""Conversion between torch tensors and NumPy views of the same memory, and helpers for formulas written for both."""

from __future__ import annotations

import math

import array_api_compat.numpy as numpy_namespace
import numpy as np
import torch
from torch import Tensor

from envs.constraints.knapsack import Array, Namespace, constant


def in_memory(action: Tensor, obs: Tensor) -> bool:
    """Whether NumPy can read the tensors: they are on the CPU and need no gradient."""
    in_graph = (action.requires_grad or obs.requires_grad) and torch.is_grad_enabled()
    return action.is_cpu and obs.is_cpu and not in_graph


def view(tensor: Tensor) -> Array:
    """The tensor's memory as a NumPy array."""
    return (tensor.detach() if tensor.requires_grad else tensor).numpy()


def as_tensor(array: Array) -> Tensor:
    """The array's memory as a tensor."""
    return array if isinstance(array, Tensor) else torch.from_numpy(array)


def off_graph(xp: Namespace, *arrays: Array) -> tuple[Namespace, list[Array]]:
    """The numbers without a graph, for a search that passes no gradient, and the library to search with.

    A call of NumPy costs a fifth of one of torch, so this is NumPy if it can read the memory.
    """
    constants = [constant(array) for array in arrays]
    if isinstance(constants[0], Tensor) and constants[0].is_cpu:
        return numpy_namespace, [tensor.numpy() for tensor in constants]
    return xp, constants


def back_like(found: Array, like: Array) -> Array:
    """The result of a search :func:`off_graph`, as an array of the kind of ``like``."""
    return as_tensor(found) if isinstance(like, Tensor) else found


def as_slice(indices: tuple[int, ...]) -> slice | list[int]:
    """Adjacent indices as a slice, which is read without copying."""
    if indices and indices == tuple(range(indices[0], indices[-1] + 1)):
        return slice(indices[0], indices[-1] + 1)
    return list(indices)


def some(mask: Array) -> bool:
    """Whether any entry is true; reading the only one is ten times as fast as a reduction."""
    return bool(mask.item() if mask.shape == (1, 1) else mask.any())


def any_column(xp: Namespace, mask: Array) -> Array:
    """Whether any entry of a row (B, j) is true: (B, 1)."""
    return mask if mask.shape[1] == 1 else xp.any(mask, axis=1, keepdims=True)


def sum_of_squares(array: Array) -> float:
    """Sum of squares of all entries; NaN or infinite if one is, or if the sum overflows."""
    flat = constant(array).reshape(-1)
    with np.errstate(over="ignore"):
        return float(flat.dot(flat))


def root(xp: Namespace, square: Array) -> Array:
    """Square root with gradient 0, instead of infinity, at 0; 0 for numbers that rounding made negative."""
    positive = square > 0
    return xp.where(positive, xp.sqrt(xp.where(positive, square, 1.0)), 0.0)


def pick(xp: Namespace, score: Array, *columns: Array) -> list[Array]:
    """The entry of each of the ``columns`` (B, k) where ``score`` (B, k) is largest, the first if tied: each (B, 1).

    Other entries pass no gradient, even if they are NaN.
    """
    best = xp.argmax(score, axis=1)[:, None] == xp.arange(score.shape[1], device=score.device)[None, :]
    return [xp.sum(xp.where(best, column, 0.0), axis=1, keepdims=True) for column in columns]


def log_ball_volume(dim: int, radius_squared: float) -> float:
    """Logarithm of a ball's volume."""
    return dim / 2 * math.log(math.pi * radius_squared) - math.lgamma(dim / 2 + 1)


def draw_in_ball(
    shape: tuple[int, int], dtype: torch.dtype, generator: torch.Generator, least: float = 0.0, most: float = 1.0
) -> Tensor:
    """Uniform draws from the ball or shell with ``least <= length^n <= most``: (B, n), on the generator's device."""
    direction = torch.randn(shape, generator=generator, dtype=dtype, device=generator.device)
    u = torch.rand((shape[0], 1), generator=generator, dtype=dtype, device=generator.device)
    length = (least + u * (most - least)).pow(1 / shape[1])
    draw: Tensor = direction / torch.linalg.vector_norm(direction, dim=1, keepdim=True) * length
    return draw


def draw_on_simplex(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Uniform draws of n non-negative shares that add up to 1, (B, n) float64, on the generator's device.

    Spacings of exponentials, divided by their sum (Devroye 1986, ch. V.2).
    """
    spacing = torch.empty(shape, dtype=torch.float64, device=generator.device).exponential_(generator=generator)
    return spacing / spacing.sum(dim=1, keepdim=True)
