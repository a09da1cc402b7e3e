"""Alpha projection, DAlpha's and SAlpha's head (Kasaura et al., 2023, arXiv 2304.08743)."""

from __future__ import annotations

import torch
from torch import Tensor

from methods.heads.density import log_gaussian, log_ray_mass
from methods.heads.ray import RayHead
from methods.rays import SHORT
from methods.rowwise import rowwise


class AlphaHead(RayHead):
    """``l(u) = c + (u - c) / max(1, L)``: R^d onto C(s).

    Feasible points stay, and others move along their ray to the boundary. The map has no log-determinant, but
    :meth:`log_prob` gives the density of the image of a Gaussian.
    """

    def action_of(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Head.action_of`."""
        return self._pulled(self._ray(output, obs))

    def log_prob(self, output: Tensor, mean: Tensor, log_std: Tensor, obs: Tensor) -> Tensor:
        """Log density of the action when outputs are Gaussian: (B,), in the precision of ``output``.

        Inside C(s) it is the Gaussian's own density, by volume. On the boundary it is the mass of all outputs on the
        ray beyond, by area across the ray, that is, solid angle times the distance from c to the power of d - 1.
        Together they integrate to 1 (see :func:`methods.heads.density.log_ray_mass`).

        Args:
            output: A draw, (B, d).
            mean: Mean of the Gaussian, (B, d).
            log_std: Log standard deviations of its coordinates, (B, d) or (d,).
            obs: (B, o).
        """
        spread = log_std.expand_as(output)
        return rowwise(self._log_prob)(output, mean, spread, obs).to(output.dtype)

    def _log_prob(self, output: Tensor, mean: Tensor, log_std: Tensor, obs: Tensor) -> Tensor:
        output, mean, log_std = output.double(), mean.double(), log_std.double()
        ray, half = self._ray(output, obs), self._half.to(output.device)
        outside = (1 + SHORT) * ray.gauge > 1
        # If the output is feasible, any ray will do, since its mass is not used.
        edge = torch.where(outside, ray.step / torch.where(outside, ray.gauge, 1.0), half) / half
        mass = log_ray_mass(edge, mean - self._output_of(ray.centre), log_std)
        return torch.where(outside.squeeze(1), mass, log_gaussian(output - mean, log_std))
