"""Radial squashing, DRad's and SRad's head (Kasaura et al., 2023, arXiv 2304.08743)."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from methods.heads.ray import RayHead
from methods.rays import SHORT

# Below this, tanh(L) / L is computed by its series, whose next term is less than rounding.
NEAR_0 = 1e-3


class RadialHead(RayHead):
    """``k(u) = c + (u - c) tanh(L) / L``: R^d onto the interior of C(s), one to one.

    tanh(L) / L only changes along the ray, so the Jacobian's determinant is ``(tanh(L) / L)^(d-1) (1 - tanh(L)^2)``.
    """

    has_density: ClassVar[bool] = True

    def action_of(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Head.action_of`."""
        ray = self._ray(output, obs)
        # tanh rounds to 1 from 20 on.
        return self.constraint.from_free(ray.centre + (1 - SHORT) * shrinkage(ray.gauge) * ray.step)

    def _log_det(self, output: Tensor, obs: Tensor) -> Tensor:
        gauge = self._ray(output, obs).gauge.squeeze(1)
        along = 2 * (math.log(2) - gauge - softplus(-2 * gauge))
        return (self.outputs - 1) * shrinkage(gauge).log() + along


def shrinkage(gauge: Tensor) -> Tensor:
    """``tanh(L) / L``, 1 at 0."""
    some = gauge > NEAR_0
    length = torch.where(some, gauge, 1.0)
    square = gauge.square()
    return torch.where(some, length.tanh() / length, 1 - square / 3 + 2 * square.square() / 15)
