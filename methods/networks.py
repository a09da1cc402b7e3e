"""Plain networks, and the state of learners as tensors by name."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from methods.base import Tensors


def mlp(sizes: Iterable[int], last: nn.Module) -> nn.Sequential:
    """A ReLU network with the given layer sizes, ending in ``last``."""
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(sizes):
        layers += [nn.Linear(width_in, width_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1], last)


def pack(parts: Mapping[str, Any]) -> Tensors:
    """Copies of all numbers, each under the name of its part followed by its name within the part.

    Args:
        parts: Tensors, generators, optimisers, and objects with ``state_dict`` and ``load_state_dict``.
    """
    state: Tensors = {}
    for name, part in parts.items():
        if isinstance(part, Tensor):
            state[name] = part.detach().clone()
        elif isinstance(part, torch.Generator):
            state[name] = part.get_state()
        elif isinstance(part, torch.optim.Optimizer):
            for index, moments in part.state_dict()["state"].items():
                state |= {f"{name}.{index}.{key}": value.clone() for key, value in moments.items()}
        else:
            state |= {f"{name}.{key}": value.clone() for key, value in part.state_dict().items()}
    return state


def unpack(state: Mapping[str, Tensor], parts: Mapping[str, Any]) -> None:
    """Restore parts from the tensors of :func:`pack`.

    Raises:
        KeyError, RuntimeError, TypeError, ValueError: If an entry is missing or does not fit.
    """
    for name, part in parts.items():
        if isinstance(part, Tensor):
            if state[name].shape != part.shape:
                raise ValueError(f"{name} has the shape {tuple(state[name].shape)}, not {tuple(part.shape)}")
            part.detach().copy_(state[name])
        elif isinstance(part, torch.Generator):
            part.set_state(state[name])
        elif isinstance(part, torch.optim.Optimizer):
            moments: dict[int, Tensors] = {}
            for key, value in entries(state, name).items():
                index, moment = key.split(".")
                moments.setdefault(int(index), {})[moment] = value.clone()
            part.load_state_dict({**part.state_dict(), "state": moments})
        else:
            part.load_state_dict(entries(state, name))


def entries(state: Mapping[str, Tensor], part: str) -> Tensors:
    """The entries of one part, by their names within the part."""
    prefix = f"{part}."
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
