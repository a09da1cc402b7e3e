"""The base class of action heads, which map an actor's output and the observation to an action."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from envs.constraints.base import Constraint
from envs.errors import UserError
from methods.heads.density import log_gaussian
from methods.rowwise import Function, rowwise


class Head(ABC):
    """A differentiable map from outputs (B, k) and observations (B, o) to actions (B, n), row by row.

    It is a pure function that ``torch.func`` can map and differentiate; what asks the constraint does so by way of
    :func:`methods.rowwise.rowwise`.

    Unless the head says otherwise, outputs are points: 0 means the middle of a box and 1 its upper end. This is the
    action box or, if C(s) lies in a plane and the head works in its free coordinates, the box around C(s) there, with
    k < n. Densities are per half-width of that box, in free coordinates, so an entropy does not depend on the
    environment's units.

    Args:
        constraint: The set to map to.

    Attributes:
        squashed: Whether outputs lie in [-1, 1]^k (tanh) or anywhere in R^k (linear).
        has_density: Whether the head has a :meth:`log_det`.
        needs_convex: Why the head applies to convex sets only; empty if it applies to all.
        in_plane: Whether outputs are free coordinates.
        of_points: Whether outputs are points, as above. Only then there are :meth:`shifted` and :meth:`again`.
        outputs: Number of outputs, k.

    Raises:
        UserError: If the head does not apply to the constraint.
    """

    squashed: ClassVar[bool]
    has_density: ClassVar[bool] = False
    needs_convex: ClassVar[str] = ""
    in_plane: ClassVar[bool] = False
    of_points: ClassVar[bool] = True

    def __init__(self, constraint: Constraint) -> None:
        if self.needs_convex and not constraint.convex:
            name = type(self).__name__
            raise UserError(f"{name} does not apply to {type(constraint).__name__}, not convex: {self.needs_convex}")
        self.constraint = constraint
        flat = self.in_plane and constraint.free_dim < constraint.dim
        lower, upper = constraint.free_box if flat else (constraint.lower, constraint.upper)
        self.outputs = len(lower)
        self._middle, self._half = torch.as_tensor((upper + lower) / 2), torch.as_tensor((upper - lower) / 2)

    @property
    def traceable(self) -> bool:
        """Whether ``torch.func`` and ``torch.compile`` can look through the head, which then asks no constraint."""
        return False

    def __call__(self, output: Tensor, obs: Tensor) -> Tensor:
        """Actions (B, n) in the environment's units.

        In float64, which keeps the constraint to the last bit, unless the head ignores the constraint.

        Args:
            output: (B, k).
            obs: (B, o), raw, in the environment's precision.
        """
        return self._mapped(self.action_of)(output, obs)

    def log_det(self, output: Tensor, obs: Tensor) -> Tensor:
        """Log |det da/du| in the units above, for action a and output u: (B,), in the precision of ``output``.

        Raises:
            UserError: If the head has no density.
        """
        if not self.has_density:
            raise UserError(f"{type(self).__name__} has no density, as it maps many outputs to one action")
        return self._mapped(self._log_det)(output, obs).to(output.dtype)

    def log_prob(self, latent: Tensor, mean: Tensor, log_std: Tensor, obs: Tensor) -> Tensor:
        """Log density of the action of a Gaussian latent, in the units above: (B,).

        Args:
            latent: A draw (B, k): the output, or the argument of the tanh if outputs are squashed.
            mean: Mean of the Gaussian, (B, k).
            log_std: Log standard deviations of its coordinates, (B, k) or (k,).
            obs: (B, o).

        Raises:
            UserError: If the head has no density.
        """
        gaussian = log_gaussian(latent - mean, log_std.expand_as(latent))
        if not self.squashed:
            return gaussian - self.log_det(latent, obs)
        # log(1 - tanh(x)^2), without the loss of digits far from 0.
        slope = 2 * (math.log(2) - latent - softplus(-2 * latent))
        return gaussian - slope.sum(dim=1) - self.log_det(latent.tanh(), obs)

    def shifted(self, output: Tensor, offset: Tensor) -> Tensor:
        """Outputs of points moved by ``offset``, (B, k), in the environment's units (or in free coordinates)."""
        return output + offset / self._half.to(output.dtype)

    def again(self, action: Tensor, obs: Tensor) -> Tensor:
        """Actions (B, n) mapped once more, such as its own with noise: by default, as the outputs they stand for."""
        return self._mapped(self._again)(action, obs)

    def _mapped(self, function: Function) -> Function:
        return function if self.traceable else rowwise(function)

    def _again(self, action: Tensor, obs: Tensor) -> Tensor:
        point = self.constraint.to_free(action.double()) if self.in_plane else action
        return self.action_of((point - self._middle) / self._half, obs)

    @abstractmethod
    def action_of(self, output: Tensor, obs: Tensor) -> Tensor:
        """Map outputs to actions, row by row: what a new head implements, with the arguments of :meth:`__call__`."""

    def _log_det(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`log_det`; only for heads with a density."""
        raise NotImplementedError

    def scaled(self, output: Tensor) -> Tensor:
        """``middle + half output``: (B, k), in the precision of ``output``."""
        middle, half = (part.to(output.device, output.dtype) for part in (self._middle, self._half))
        return middle + half * output
