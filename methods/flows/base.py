"""A flow: an invertible map between latents in a box and feasible actions, given the constraint's context."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from envs.constraints.base import Constraint


class Flow(nn.Module):
    """f(z; s): z in [-1, 1]^d to an action, and back.

    It works in the constraint's free coordinates, scaled to [-1, 1] by the box around C(s), so an equality holds by
    construction. The state enters only through the context.

    Args:
        constraint: The set to map onto.

    Attributes:
        dim: Dimension d of latents and free coordinates.
        context_dim: Dimension of a standardised context (:meth:`standardise`).
        traceable: Whether ``torch.func`` and ``torch.compile`` can look through the map from latents to actions.
    """

    traceable: ClassVar[bool] = False
    box_middle: Tensor
    box_half: Tensor
    context_mean: Tensor
    context_std: Tensor

    def __init__(self, constraint: Constraint) -> None:
        super().__init__()
        self.constraint = constraint
        self.dim = constraint.free_dim
        variables = len(constraint.context_indices)
        self.context_dim = 2 * variables
        lower, upper = (torch.as_tensor(end, dtype=torch.float32) for end in constraint.free_box)
        self.register_buffer("box_middle", (upper + lower) / 2, persistent=False)
        self.register_buffer("box_half", (upper - lower) / 2, persistent=False)
        self.register_buffer("context_mean", torch.zeros(variables))
        self.register_buffer("context_std", torch.ones(variables))

    @abstractmethod
    def push(self, latent: Tensor, context: Tensor) -> Tensor:
        """Scaled free coordinates (B, d) of latents (B, d), given contexts (B, k)."""

    @abstractmethod
    def pull(self, scaled: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, d) and log |det dz/du|, shape (B,), of scaled free coordinates u (B, d)."""

    def fit_context(self, context: Tensor) -> None:
        """Fit the standardisation of contexts to the training set (N, k)."""
        if self.context_dim:
            self.context_mean.copy_(context.mean(dim=0))
            self.context_std.copy_(context.std(dim=0).clamp(min=1e-6))

    def standardise(self, context: Tensor) -> Tensor:
        """Contexts (B, k) for the networks, (B, 2 k): in units of their deviation, followed by their magnitudes.

        A power budget depends on magnitudes.
        """
        return torch.cat([(context - self.context_mean) / self.context_std, context.abs() / self.context_std], dim=1)

    def forward(self, latent: Tensor, context: Tensor) -> Tensor:
        """Actions (B, n) in the environment's units; float64 if an equality has to hold."""
        scaled = self.push(latent, context.to(latent.dtype))
        return self.constraint.from_free(self.box_middle + self.box_half * scaled)

    def inverse(self, action: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (B, d) and log |det dz/du|, shape (B,), of feasible actions (B, n)."""
        scaled = (self.constraint.to_free(action) - self.box_middle) / self.box_half
        dtype = self.context_mean.dtype
        return self.pull(scaled.to(dtype), context.to(dtype))


def soft_box_log_density(latent: Tensor, sigma: float, steepest: float) -> Tensor:
    """Log density (B,), up to a constant, of the uniform on [-1, 1]^d with soft edges.

    The edge is Gaussian (FlowPG, released code) until its slope reaches ``steepest``, and exponential beyond: with a
    Gaussian edge of sigma 1e-4, one sample 0.02 outside outweighs thousands inside.
    """
    outside = (latent.abs() - 1).clamp(min=0)
    knee = steepest * sigma**2
    near, far = outside.clamp(max=knee), (outside - knee).clamp(min=0)
    return -(0.5 * (near / sigma).square() + steepest * far).sum(dim=1) - latent.shape[1] * math.log(2)


def uniform_latent(count: int, dim: int, generator: torch.Generator) -> Tensor:
    """Latents (count, dim) uniform in [-1, 1]^dim."""
    return 2 * torch.rand((count, dim), generator=generator) - 1


def boundary_latent(count: int, dim: int, generator: torch.Generator) -> Tensor:
    """Latents (count, dim) uniform on the faces of [-1, 1]^dim, where a saturated tanh actor sits."""
    latent = uniform_latent(count, dim, generator)
    face = torch.randint(dim, (count, 1), generator=generator)
    side = 2.0 * torch.randint(2, (count, 1), generator=generator) - 1
    return latent.scatter(1, face, side)
