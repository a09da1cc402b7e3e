"""RealNVP (Dinh et al., 2017, arXiv 1605.08803), the flow of FlowPG: affine coupling layers with bounded scales."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from envs.constraints.base import Constraint
from methods.flows.base import Flow
from methods.flows.training import FlowConfig

# Largest log-scale of one layer. The paper's tanh alone bounds it by 1, which cannot follow thin sets.
LARGEST = math.log(1000)


class RealNVPConfig(FlowConfig):
    """FlowPG's released architecture, trained in larger steps on larger batches."""

    layers: PositiveInt = 6
    hidden: tuple[PositiveInt, ...] = (256, 256)
    batch_size: PositiveInt = 512
    learning_rate: PositiveFloat = 2e-3
    clip: PositiveFloat = 1.0

    def build(self, constraint: Constraint) -> Flow:
        """See :meth:`FlowConfig.build`."""
        return RealNVP(constraint, self.layers, self.hidden)


class RealNVP(Flow):
    """Layers that scale and shift one half of the coordinates by what a network makes of the other half and the state.

    The halves take turns. One network gives a layer's log-scales and shifts together, and the halves are slices, so
    that no layer gathers or scatters: at a policy's batch sizes such calls cost as much as the arithmetic.

    Args:
        constraint: The set to map onto; of dimension 2 or more.
        layers: Coupling layers.
        hidden: Widths of each layer's network.
    """

    def __init__(self, constraint: Constraint, layers: int, hidden: Sequence[int]) -> None:
        super().__init__(constraint)
        self.halves = [(self.dim + 1) // 2, self.dim // 2]
        self.networks = nn.ModuleList(
            _network(self.halves[layer % 2] + self.context_dim, hidden, 2 * self.halves[1 - layer % 2])
            for layer in range(layers)
        )

    def push(self, latent: Tensor, context: Tensor) -> Tensor:
        """See :meth:`Flow.push`."""
        halves = list(torch.split(latent, self.halves, dim=1))
        for layer in reversed(range(len(self.networks))):
            kept, moved = layer % 2, 1 - layer % 2
            log_scale, shift = self._scale_and_shift(layer, halves[kept], context)
            halves[moved] = (halves[moved] - shift) * torch.exp(-log_scale)
        return torch.cat(halves, dim=1)

    def pull(self, scaled: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`Flow.pull`."""
        halves = list(torch.split(scaled, self.halves, dim=1))
        log_det = torch.zeros(len(scaled), dtype=scaled.dtype, device=scaled.device)
        for layer in range(len(self.networks)):
            kept, moved = layer % 2, 1 - layer % 2
            log_scale, shift = self._scale_and_shift(layer, halves[kept], context)
            halves[moved] = halves[moved] * torch.exp(log_scale) + shift
            log_det = log_det + log_scale.sum(dim=1)
        return torch.cat(halves, dim=1), log_det

    def _scale_and_shift(self, layer: int, kept: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        inputs = torch.cat([kept, context], dim=1) if self.context_dim else kept
        raw, shift = self.networks[layer](inputs).chunk(2, dim=1)
        return LARGEST * torch.tanh(raw / LARGEST), shift


def _network(width_in: int, hidden: Sequence[int], width_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for left, right in itertools.pairwise((width_in, *hidden)):
        layers += [nn.Linear(left, right), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear((width_in, *hidden)[-1], width_out))
