"""The identity head: an output is a point of the action box, and repair does the rest."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from methods.heads.base import Head


class IdentityHead(Head):
    """``a = middle + half u`` onto the action box, in the precision of the output."""

    squashed: ClassVar[bool] = True
    has_density: ClassVar[bool] = True

    @property
    def traceable(self) -> bool:
        """See :attr:`Head.traceable`."""
        return True

    def action_of(self, output: Tensor, obs: Tensor) -> Tensor:  # noqa: ARG002
        """See :meth:`Head.action_of`."""
        return self.scaled(output)

    def _log_det(self, output: Tensor, obs: Tensor) -> Tensor:  # noqa: ARG002
        return torch.zeros_like(output[:, 0])
