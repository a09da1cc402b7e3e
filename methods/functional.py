"""Networks, their gradients and Adam as pure functions, which ``torch.func`` can map over seeds.

The state of a learner is a :data:`State`: lists of tensors by name. A network is a list of weights and biases, layer by
layer. A :data:`Backend` says whether new tensors are made or the old ones overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.adam import adam

from methods.networks import mlp

Parameters: TypeAlias = list[Tensor]
State: TypeAlias = dict[str, Parameters]
Loss: TypeAlias = Callable[[Parameters], Tensor]
# Returns the gradient of a loss at some parameters, and the loss.
Gradient: TypeAlias = Callable[[Loss, Parameters], tuple[Parameters, Tensor]]
# A step of Adam: from parameters, gradient, first moments, second moments, steps so far and learning rate to the new
# parameters, first moments and second moments, in one list.
Adam: TypeAlias = Callable[[Parameters, Parameters, Parameters, Parameters, Tensor, float], list[Tensor]]

# Adam's, as in the paper (Kingma and Ba, 2015, arXiv 1412.6980).
FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8


def new_network(sizes: Sequence[int]) -> Parameters:
    """Weights and biases of :func:`perceptron`, initialised like torch's layers, from its global generator."""
    return [parameter.detach() for parameter in mlp(sizes, nn.Identity()).parameters()]


def perceptron(parameters: Parameters, inputs: Tensor) -> Tensor:
    """A ReLU network with a linear last layer: (B, i) -> (B, j)."""
    hidden = inputs
    for layer in range(0, len(parameters) - 2, 2):
        hidden = functional.linear(hidden, parameters[layer], parameters[layer + 1]).relu_()
    return functional.linear(hidden, parameters[-2], parameters[-1])


def by_autograd(loss: Loss, parameters: Parameters) -> tuple[Parameters, Tensor]:
    """The gradient by torch.autograd, the fastest way for one seed."""
    leaves = [parameter.detach().requires_grad_() for parameter in parameters]
    with torch.enable_grad():
        value = loss(leaves)
    return list(torch.autograd.grad(value, leaves)), value.detach()


def by_transform(loss: Loss, parameters: Parameters) -> tuple[Parameters, Tensor]:
    """The gradient by torch.func, which vmap and torch.compile can trace."""
    gradient, value = torch.func.grad_and_value(loss)(parameters)
    return gradient, value


def with_adam(state: State, name: str) -> State:
    """The state with Adam's moments and step count for the parameters of this name."""
    moments = [[torch.zeros_like(parameter) for parameter in state[name]] for _ in range(2)]
    steps = torch.zeros((), dtype=torch.float64)
    return {**state, f"{name}.first": moments[0], f"{name}.second": moments[1], f"{name}.steps": [steps]}


def _adam_in_place(
    parameters: Parameters,
    gradient: Parameters,
    first: Parameters,
    second: Parameters,
    steps: Tensor,
    rate: float,
) -> list[Tensor]:
    """A step of Adam by torch's fused kernel."""
    counts = [steps.float() for _ in parameters]
    settings: dict[str, Any] = {"lr": rate, "beta1": FIRST_DECAY, "beta2": SECOND_DECAY, "eps": EPSILON}
    settings |= {"amsgrad": False, "maximize": False, "weight_decay": 0.0, "fused": True}
    adam(parameters, gradient, first, second, [], counts, **settings)
    return [*parameters, *first, *second]


@torch.library.custom_op("acrl_bench::adam", mutates_args=())
def _adam(
    parameters: list[Tensor],
    gradient: list[Tensor],
    first: list[Tensor],
    second: list[Tensor],
    steps: Tensor,
    rate: float,
) -> list[Tensor]:
    """The same on copies."""
    parameters, first, second = ([tensor.clone() for tensor in some] for some in (parameters, first, second))
    return _adam_in_place(parameters, gradient, first, second, steps, rate)


@_adam.register_fake
def _(parameters: Any, gradient: Any, first: Any, second: Any, steps: Any, rate: Any) -> list[Tensor]:
    del gradient, steps, rate
    return [torch.empty_like(tensor) for some in (parameters, first, second) for tensor in some]


@_adam.register_vmap
def _(info: Any, in_dims: Any, *arguments: Any) -> tuple[list[Tensor], list[int]]:
    """The vmap rule: seeds take their steps together, element by element."""

    def rows(tensor: Tensor, dim: int | None) -> Tensor:
        return tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)

    *some, steps, rate = arguments
    stacked = [[*map(rows, tensors, dims)] for tensors, dims in zip(some, in_dims, strict=False)]
    found = _adam(*stacked, steps if in_dims[4] is None else steps.select(in_dims[4], 0), rate)
    return found, [0] * len(found)


class Backend(NamedTuple):
    """How an update differentiates, and whether it overwrites the networks that it is given."""

    gradient: Gradient
    adam: Adam


# For torch.func.vmap and torch.compile: the given state stays as it is.
PURE = Backend(by_transform, _adam)
# The fastest for one seed: networks and their moments are overwritten, targets and step counts are not.
IN_PLACE = Backend(by_autograd, _adam_in_place)


def adam_step(state: State, name: str, gradient: Parameters, rate: float, backend: Backend) -> State:
    """The state after one step of Adam on the parameters of this name."""
    first, second, (steps,) = (state[f"{name}.{part}"] for part in ("first", "second", "steps"))
    after = backend.adam(state[name], gradient, first, second, steps, rate)
    one, two = len(gradient), 2 * len(gradient)
    changed = {name: after[:one], f"{name}.first": after[one:two], f"{name}.second": after[two:]}
    return {**state, **changed, f"{name}.steps": [steps + 1]}


def follow(targets: Parameters, parameters: Parameters, tau: float) -> Parameters:
    """Target parameters after a step of size ``tau`` towards the parameters."""
    return [torch.lerp(target, parameter, tau) for target, parameter in zip(targets, parameters, strict=True)]
