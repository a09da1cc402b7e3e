"""A method that stands on nothing, for tests of what surrounds methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from methods.base import Method, MethodConfig, Tensors, Transition


class Scripted(Method[MethodConfig]):
    """Does nothing, and can be told to do anything; its state is the number of steps it saw."""

    id, version = "scripted", 1
    Config = MethodConfig

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.steps = 0
        self.loaded: list[int] = []

    def act(self, obs: Tensor, explore: bool) -> Tensor:
        return torch.full((len(obs), self.task.constraint.dim), 0.05 * explore, dtype=torch.float64)

    def observe(self, transition: Transition) -> None:
        del transition
        self.steps += 1

    def update(self) -> dict[str, float]:
        return {"loss": float(self.steps)}

    def state_dict(self) -> Tensors:
        return {"steps": torch.tensor(self.steps)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.steps = int(state["steps"])
        self.loaded.append(self.steps)
