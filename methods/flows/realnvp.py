"""RealNVP (Dinh et al., 2017, arXiv 1605.08803), the flow of FlowPG: affine coupling layers with bounded scales."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from envs.constraints.base import Constraint
from envs.constraints.budget import Budget
from methods.flows.base import Flow
from methods.flows.training import FlowConfig
from methods.networks import mlp

# Largest log-scale of one layer. The paper's tanh alone bounds it by 1, which cannot follow thin sets.
LARGEST = math.log(1000)


class RealNVPConfig(FlowConfig):
    """Settings of RealNVP: FlowPG's number and width of layers, trained in larger steps on larger batches.

    Attributes:
        moves: What a layer moves: one coordinate given all others or, as published, half of them given the other half.
        shares: Whether layers see each coordinate's share of a power budget. Not in the paper.
    """

    kind: ClassVar[str] = "RealNVP"
    version: ClassVar[int] = 1
    layers: PositiveInt = 6
    hidden: tuple[PositiveInt, ...] = (256, 256)
    batch_size: PositiveInt = 512
    learning_rate: PositiveFloat = 2e-3
    clip: PositiveFloat = 1.0
    moves: Literal["coordinate", "half"] = "coordinate"
    shares: bool = True

    def build(self, constraint: Constraint) -> Flow:
        """See :meth:`FlowConfig.build`."""
        return RealNVP(constraint, self)


class RealNVP(Flow):
    """Layers that scale and shift a few coordinates, given all others and the state.

    The coordinates take turns: halves, or as few at a time as let each move in some layer, which is one if there are
    enough layers. If C(s) is a power budget, a network may also see the share that each other coordinate takes, which
    it would otherwise have to learn as a product of velocity and torque. One network gives both log-scales and shifts,
    because at a policy's batch sizes a call costs as much as the arithmetic.

    Args:
        constraint: The set to map onto.
        config: Architecture.
    """

    traceable: ClassVar[bool] = True

    def __init__(self, constraint: Constraint, config: RealNVPConfig) -> None:
        super().__init__(constraint)
        budget = constraint if config.shares and isinstance(constraint, Budget) else None
        self.spend: Callable[[Tensor], Tensor] | None = budget.spend if budget else None
        self.bound = budget.bound if budget else 1.0
        self.size = math.ceil(self.dim / (2 if config.moves == "half" else max(2, config.layers)))
        sizes = [len(group) for group in torch.split(torch.arange(self.dim), self.size)]
        # The last group moves first.
        self.turns = [(len(sizes) - 1 - layer) % len(sizes) for layer in range(config.layers)]
        seen = 2 if self.spend else 1
        # A single coordinate without a context is moved by learned constants: its network sees a 0.
        inputs = [max(1, seen * (self.dim - sizes[turn]) + self.context_dim) for turn in self.turns]
        self.networks = nn.ModuleList(
            mlp((width, *config.hidden, 2 * sizes[turn]), nn.Identity())
            for turn, width in zip(self.turns, inputs, strict=True)
        )

    def push(self, latent: Tensor, context: Tensor) -> Tensor:
        """See :meth:`Flow.push`."""
        groups = Groups(self, latent, context)
        for turn, network in reversed(list(zip(self.turns, self.networks, strict=True))):
            log_scale, shift = groups.scale_and_shift(turn, network)
            groups.move(turn, (groups.values[turn] - shift) * torch.exp(-log_scale))
        return torch.cat(groups.values, dim=1)

    def pull(self, scaled: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.pull`."""
        groups = Groups(self, scaled, context)
        log_det = torch.zeros(len(scaled), dtype=scaled.dtype, device=scaled.device)
        for turn, network in zip(self.turns, self.networks, strict=True):
            log_scale, shift = groups.scale_and_shift(turn, network)
            groups.move(turn, groups.values[turn] * torch.exp(log_scale) + shift)
            log_det = log_det + log_scale.sum(dim=1)
        return torch.cat(groups.values, dim=1), log_det


class Groups:
    """Coordinates on their way through the layers, in groups that move together.

    Attributes:
        values: The groups, each (B, size).
        shares: Each coordinate's share of the budget, in the same groups; none if C(s) is not a budget.
    """

    def __init__(self, flow: RealNVP, coordinates: Tensor, context: Tensor) -> None:
        self.values = list(torch.split(coordinates, flow.size, dim=1))
        self.state = [flow.standardise(context)] if flow.context_dim else []
        self.shares: list[Tensor] = []
        self.spend = flow.spend
        if self.spend:
            rate = context / flow.bound
            self.offsets = torch.split(rate * flow.box_middle, flow.size, dim=1)
            self.rates = torch.split(rate * flow.box_half, flow.size, dim=1)
            self.shares = [self.spend(self._power(turn)) for turn in range(len(self.values))]

    def scale_and_shift(self, turn: int, network: nn.Module) -> tuple[Tensor, Tensor]:
        """Log-scales and shifts of the group whose turn it is, given all others."""
        others = [*self.values[:turn], *self.values[turn + 1 :], *self.shares[:turn], *self.shares[turn + 1 :]]
        given = others + self.state or [torch.zeros_like(self.values[turn])]
        raw, shift = network(torch.cat(given, dim=1)).chunk(2, dim=1)
        return LARGEST * torch.tanh(raw / LARGEST), shift

    def move(self, turn: int, value: Tensor) -> None:
        """Move the group whose turn it is to ``value``."""
        self.values[turn] = value
        if self.spend:
            self.shares[turn] = self.spend(self._power(turn))

    def _power(self, turn: int) -> Tensor:
        return torch.addcmul(self.offsets[turn], self.values[turn], self.rates[turn])
