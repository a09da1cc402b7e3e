"""Base of heads whose linear output is a step from the interior point of C(s)."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from methods.heads.base import Head
from methods.rays import SHORT, free_centre, free_gauge


class Ray(NamedTuple):
    """The ray from c(s) through a point, in free coordinates and float64.

    Attributes:
        centre: c, (B, d).
        step: Vector from c to the point, (B, d).
        gauge: Gauge L of the step, (B, 1): at most 1 if the point is feasible.
    """

    centre: Tensor
    step: Tensor
    gauge: Tensor


class RayHead(Head):
    """A head that moves ``u = middle + half output``, anywhere in R^d, along the ray from the interior point c(s).

    In the plane of an equality, u is ``c(s) + half output``: the middle of the box around C(s) can be far outside C(s)
    there. The gauge is that of all of C(s), action box included, around ``Constraint.interior``.
    """

    squashed: ClassVar[bool] = False
    needs_convex: ClassVar[str] = "rays from one point do not reach all of it"
    in_plane: ClassVar[bool] = True

    @property
    def _flat(self) -> bool:
        """Whether C(s) lies in the plane of an equality."""
        return self.outputs < self.constraint.dim

    def _ray(self, output: Tensor, obs: Tensor) -> Ray:
        """The ray through the point of an output (B, d)."""
        centre = free_centre(self.constraint, obs.double())
        if self._flat:
            return self._ray_along(centre, self._half.to(output.device) * output.double(), obs)
        return self._ray_along(centre, self.scaled(output.double()) - centre, obs)

    def _ray_along(self, centre: Tensor, step: Tensor, obs: Tensor) -> Ray:
        return Ray(centre, step, free_gauge(self.constraint, centre, step, obs.double()))

    def _output_of(self, centre: Tensor) -> Tensor:
        """The output (B, d) that stands for c(s)."""
        if self._flat:
            return torch.zeros_like(centre)
        return (centre - self._middle.to(centre.device)) / self._half.to(centre.device)

    def _pulled(self, ray: Ray) -> Tensor:
        """Alpha projection: a point outside C(s) moves along its ray to the boundary."""
        return self.constraint.from_free(ray.centre + ray.step / ((1 + SHORT) * ray.gauge).clamp(min=1))

    def _again(self, action: Tensor, obs: Tensor) -> Tensor:
        # Radial squashing, too: ACRL-bench pulls its noisy target actions back, and does not squash them twice.
        centre = free_centre(self.constraint, obs.double())
        return self._pulled(self._ray_along(centre, self.constraint.to_free(action.double()) - centre, obs))
