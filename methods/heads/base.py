"""What an action head is: the map from an actor's output, and the observation, to an action."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from envs.constraints.base import Constraint
from envs.errors import UserError
from methods.rowwise import rowwise


class Head(ABC):
    """A differentiable map from outputs (B, k) and observations (B, o) to actions (B, n), row by row.

    It is a pure function, and ``torch.func`` maps and differentiates it (see ``methods/rowwise.py``).

    An output of 0 stands for the middle of a box and one of 1 for its upper end. It is the action box; where C(s) lies
    in a plane and the head works in its free coordinates, it is the box around C(s) there, and k < n. Densities are in
    these units too, so that an entropy does not depend on the environment's: over half-widths of that box, in free
    coordinates.

    Args:
        constraint: The set to map to.

    Attributes:
        squashed: Whether outputs lie in [-1, 1]^k, as of a tanh, or anywhere in R^k, as of a linear layer.
        has_density: Whether there is a :meth:`log_det`.
        needs_convex: Why the head is for convex sets only; empty if it is not.
        in_plane: Whether outputs are free coordinates.
        outputs: k.

    Raises:
        UserError: If the head does not apply to the constraint.
    """

    squashed: ClassVar[bool]
    has_density: ClassVar[bool] = False
    needs_convex: ClassVar[str] = ""
    in_plane: ClassVar[bool] = False

    def __init__(self, constraint: Constraint) -> None:
        if self.needs_convex and not constraint.convex:
            name = type(self).__name__
            raise UserError(f"{name} does not apply to {type(constraint).__name__}, not convex: {self.needs_convex}")
        self.constraint = constraint
        flat = self.in_plane and constraint.free_dim < constraint.dim
        lower, upper = constraint.free_box if flat else (constraint.lower, constraint.upper)
        self.outputs = len(lower)
        self._middle, self._half = torch.as_tensor((upper + lower) / 2), torch.as_tensor((upper - lower) / 2)

    def __call__(self, output: Tensor, obs: Tensor) -> Tensor:
        """Actions (B, n) in the environment's units.

        In float64, where a constraint is kept to the last bit, unless the head does nothing about the constraint.

        Args:
            output: (B, k).
            obs: (B, o), raw, in the environment's precision.
        """
        return rowwise(self._action)(output, obs)

    def log_det(self, output: Tensor, obs: Tensor) -> Tensor:
        """Log |det da/du| of action by output, in the units above: (B,), in the precision of ``output``.

        Raises:
            UserError: If the head has no density.
        """
        if not self.has_density:
            raise UserError(f"{type(self).__name__} has no density, as it maps many outputs to one action")
        return rowwise(self._log_det)(output, obs).to(output.dtype)

    @abstractmethod
    def _action(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`__call__`."""

    def _log_det(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`log_det`; of heads with a density."""
        raise NotImplementedError

    def _scaled(self, output: Tensor) -> Tensor:
        """``middle + half output``: (B, k), in the precision of ``output``."""
        middle, half = (part.to(output.device, output.dtype) for part in (self._middle, self._half))
        return middle + half * output
