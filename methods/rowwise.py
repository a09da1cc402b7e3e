"""Makes row-by-row functions work with ``torch.func``: ``vmap`` over seeds, ``grad``, and both together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import debug_unwrap

Function = Callable[..., Tensor]


def rowwise(function: Function) -> Function:
    """Make a function accept tensors that a transformation of ``torch.func`` has wrapped; other calls are unchanged.

    The exact constraints branch on values and compute small batches in NumPy, which no transformation can trace. But
    each row of their result only depends on the same row of the arguments, so a mapped dimension becomes more rows of
    one call. Gradients of transformed calls run the function a second time. There are no second derivatives.

    Args:
        function: Maps tensors of shape (B, ...) to one of shape (B, ...), each row from the same row of all arguments.

    Returns:
        A function of the same arguments, such as ``rowwise(constraint.project)(action, obs)``.
    """

    def call(*arguments: Tensor) -> Tensor:
        if not _transformed(arguments):
            return function(*arguments)
        answer: Tensor = _Call.apply(function, *arguments)  # type: ignore[no-untyped-call]
        return answer

    return call


def _transformed(arguments: tuple[Tensor, ...]) -> bool:
    # Within grad and the like, new tensors are wrapped as well, including those that the function would make.
    return any(debug_unwrap(tensor) is not tensor for tensor in (*arguments, torch.empty(0)))


class _Call(torch.autograd.Function):
    """The call; its gradient is a function of its own, which can be mapped, too."""

    @staticmethod
    def forward(function: Function, *arguments: Tensor) -> Tensor:
        return function(*arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ARG004
        ctx.function = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[1:]
        found = iter(_Gradient.apply(ctx.function, wanted, slope, *ctx.saved_tensors))  # type: ignore[no-untyped-call]
        return None, *(next(found) if want else None for want in wanted)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], function: Function, *arguments: Tensor) -> tuple[Tensor, int]:
        answer = _Call.apply(function, *_as_rows(info.batch_size, in_dims[1:], arguments))  # type: ignore[no-untyped-call]
        return answer.unflatten(0, (info.batch_size, -1)), 0


class _Gradient(torch.autograd.Function):
    """Gradients of the wanted arguments, by running the function again; not differentiable itself."""

    @staticmethod
    def forward(function: Function, wanted: tuple[bool, ...], slope: Tensor, *arguments: Tensor) -> tuple[Tensor, ...]:
        leaves = [argument.detach().requires_grad_(want) for argument, want in zip(arguments, wanted, strict=True)]
        asked = [leaf for leaf in leaves if leaf.requires_grad]
        with torch.enable_grad():
            answer = function(*leaves)
        if not answer.requires_grad:
            return tuple(torch.zeros_like(leaf) for leaf in asked)
        return torch.autograd.grad(answer, asked, slope, materialize_grads=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> None:
        raise NotImplementedError("there are no second derivatives through rowwise()")

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[Any, ...], function: Function, wanted: tuple[bool, ...], *arguments: Tensor
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        found = _Gradient.apply(function, wanted, *_as_rows(info.batch_size, in_dims[2:], arguments))  # type: ignore[no-untyped-call]
        return tuple(gradient.unflatten(0, (info.batch_size, -1)) for gradient in found), (0,) * len(found)


def _as_rows(size: int, dims: tuple[int | None, ...], arguments: tuple[Tensor, ...]) -> list[Tensor]:
    """Arguments with the mapped dimension folded into rows; unmapped ones are repeated."""
    rows = []
    for argument, dim in zip(arguments, dims, strict=True):
        mapped = argument.expand(size, *argument.shape) if dim is None else argument.movedim(dim, 0)
        rows.append(mapped.flatten(0, 1))
    return rows
