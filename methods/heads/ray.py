"""Base of heads whose linear output is a step from the interior point of C(s)."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

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

    The gauge is that of all of C(s), action box included, around ``Constraint.interior``.
    """

    squashed: ClassVar[bool] = False
    needs_convex: ClassVar[str] = "rays from one point do not reach all of it"
    in_plane: ClassVar[bool] = True

    def _ray(self, point: Tensor, obs: Tensor) -> Ray:
        """The ray through a point (B, d) in free coordinates."""
        obs = obs.double()
        centre = free_centre(self.constraint, obs)
        step = point - centre
        return Ray(centre, step, free_gauge(self.constraint, centre, step, obs))

    def _pulled(self, point: Tensor, obs: Tensor) -> Tensor:
        """Alpha projection: a point (B, d) outside C(s) moves along its ray to the boundary."""
        ray = self._ray(point, obs)
        return self.constraint.from_free(ray.centre + ray.step / ((1 + SHORT) * ray.gauge).clamp(min=1))

    def _again(self, action: Tensor, obs: Tensor) -> Tensor:
        # Radial squashing, too: ACRL-bench pulls its noisy target actions back, and does not squash them twice.
        return self._pulled(self.constraint.to_free(action.double()), obs)
