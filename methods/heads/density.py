"""Densities of a Gaussian with independent coordinates, at a point and on a ray."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

# Below exp(-40) of its largest value, the integrand does not count in float64.
NEGLIGIBLE = 40.0
NODES, WEIGHTS = (torch.as_tensor(part) for part in np.polynomial.legendre.leggauss(48))
LOG_ROOT_2_PI = math.log(2 * math.pi) / 2


def log_gaussian(offset: Tensor, log_std: Tensor) -> Tensor:
    """Log density (B,) at an offset (B, d) from the mean."""
    return -(0.5 * (offset / log_std.exp()).square() + log_std + LOG_ROOT_2_PI).sum(dim=1)


def log_ray_mass(edge: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log of the Gaussian's mass beyond w on the ray from 0 through w, by area across the ray at w: (B,).

    In polar coordinates a volume at ``t w`` is ``t^(d-1) |w| dt`` times an area across the ray at w, so the density is
    ``|w|`` times the integral of ``N(t w) t^(d-1)`` over t >= 1. The area across the ray is the solid angle times
    ``|w|^(d-1)``. In place of that power, the released code of ACRL-bench has ``|w|`` over the cosine of ray and
    normal: an area along the boundary, and only right for d = 2.

    The exponent is ``(d-1) log t - A (t - mu)^2 / 2`` plus a constant. It is concave, so its mode and curvature tell
    where the integrand counts; there, Gauss-Legendre quadrature has 12 digits or more. Nodes do not pass a gradient: at
    fixed nodes, the sum has the gradient of the integral.

    Args:
        edge: w, (B, d), not 0; float64.
        mean: (B, d).
        log_std: (B, d).
    """
    power = edge.shape[1] - 1
    std = log_std.exp()
    ray, aim = edge / std, mean / std
    curvature = ray.square().sum(dim=1, keepdim=True)
    nearest = (ray * aim).sum(dim=1, keepdim=True) / curvature
    missed = (nearest * ray - aim).square().sum(dim=1)

    peak, before, beyond = _where_it_counts(power, curvature.detach(), nearest.detach())
    # Measured from the peak: for a narrow one, t itself would have few digits left.
    width = (before + beyond) / 2
    h = (beyond - before) / 2 + width * NODES.to(edge.device)
    slope = curvature * (peak - nearest)
    exponent = power * (h / peak).log1p() - (slope + curvature * h / 2) * h + WEIGHTS.to(edge.device).log()
    at_peak = power * peak.log() - slope * (peak - nearest) / 2
    log_integral = exponent.logsumexp(dim=1) + (at_peak + width.log()).squeeze(1)
    log_length = torch.linalg.vector_norm(edge, dim=1).log()
    log_mass: Tensor = log_integral + log_length - missed / 2 - (log_std + LOG_ROOT_2_PI).sum(dim=1)
    return log_mass


def _where_it_counts(power: int, curvature: Tensor, nearest: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The peak of ``t^power exp(-curvature (t - nearest)^2 / 2)`` for t >= 1, and how far it counts; (B, 1) each."""
    mode = (nearest + (nearest.square() + 4 * power / curvature).sqrt()) / 2
    peak = mode.clamp(min=1)
    # Before the peak, the exponent curves more than at it; beyond, more than without the power.
    before = (2 * NEGLIGIBLE / (curvature + power / peak.square())).sqrt().minimum(peak - 1)
    fall = (curvature * (peak - nearest) - power / peak).clamp(min=0)
    beyond = 2 * NEGLIGIBLE / (fall + (fall.square() + 2 * NEGLIGIBLE * curvature).sqrt())
    return peak, before, beyond
