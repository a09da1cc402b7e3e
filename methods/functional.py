"""Networks, their gradients and Adam as pure functions, which ``torch.func`` maps over seeds as they are.

What a learner knows is a :data:`State`: lists of tensors by name. A network is a list of weights and biases, layer by
layer. Nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from methods.networks import mlp

Parameters: TypeAlias = list[Tensor]
State: TypeAlias = dict[str, Parameters]
Loss: TypeAlias = Callable[[Parameters], Tensor]
# Gives the gradient of a loss at some parameters, and the loss.
Gradient: TypeAlias = Callable[[Loss, Parameters], tuple[Parameters, Tensor]]

# Adam's, as in the paper (Kingma and Ba, 2015, arXiv 1412.6980).
FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8


def new_network(sizes: Sequence[int]) -> Parameters:
    """Weights and biases of :func:`perceptron`, drawn as torch's layers draw them, from its global generator."""
    return [parameter.detach() for parameter in mlp(sizes, nn.Identity()).parameters()]


def perceptron(parameters: Parameters, inputs: Tensor) -> Tensor:
    """A ReLU network with a linear last layer: (B, i) -> (B, j)."""
    hidden = inputs
    for layer in range(0, len(parameters) - 2, 2):
        hidden = functional.relu(functional.linear(hidden, parameters[layer], parameters[layer + 1]))
    return functional.linear(hidden, parameters[-2], parameters[-1])


def by_autograd(loss: Loss, parameters: Parameters) -> tuple[Parameters, Tensor]:
    """The gradient by torch.autograd: the quickest for one seed."""
    leaves = [parameter.detach().requires_grad_() for parameter in parameters]
    with torch.enable_grad():
        value = loss(leaves)
    return list(torch.autograd.grad(value, leaves)), value.detach()


def by_transform(loss: Loss, parameters: Parameters) -> tuple[Parameters, Tensor]:
    """The same by torch.func, which vmap and torch.compile look through."""
    gradient, value = torch.func.grad_and_value(loss)(parameters)
    return gradient, value


def with_adam(state: State, name: str) -> State:
    """The state with the moments of Adam for the parameters of this name, and its steps so far."""
    moments = [[torch.zeros_like(parameter) for parameter in state[name]] for _ in range(2)]
    steps = torch.zeros((), dtype=torch.float64)
    return {**state, f"{name}.first": moments[0], f"{name}.second": moments[1], f"{name}.steps": [steps]}


def adam_step(state: State, name: str, gradient: Parameters, rate: float) -> State:
    """The state after one step of Adam on the parameters of this name."""
    steps = state[f"{name}.steps"][0] + 1
    # In float64, since 1 - 0.999 has few digits in float32.
    size, root = rate / (1 - FIRST_DECAY**steps), (1 - SECOND_DECAY**steps).sqrt()
    parameters, firsts, seconds = [], [], []
    for parameter, slope, first, second in zip(
        state[name], gradient, state[f"{name}.first"], state[f"{name}.second"], strict=True
    ):
        first_after = torch.lerp(first, slope, 1 - FIRST_DECAY)
        second_after = torch.addcmul(SECOND_DECAY * second, slope, slope, value=1 - SECOND_DECAY)
        spread = second_after.sqrt() / root.to(slope.dtype) + EPSILON
        parameters.append(parameter - size.to(slope.dtype) * first_after / spread)
        firsts.append(first_after)
        seconds.append(second_after)
    changed = {name: parameters, f"{name}.first": firsts, f"{name}.second": seconds, f"{name}.steps": [steps]}
    return {**state, **changed}


def follow(targets: Parameters, parameters: Parameters, tau: float) -> Parameters:
    """Target parameters after a move by the share ``tau`` towards the parameters."""
    return [torch.lerp(target, parameter, tau) for target, parameter in zip(targets, parameters, strict=True)]
