"""SAlpha's density: of a Gaussian's actions inside C(s), and of what is moved to its boundary."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.special import ndtri
from scipy.stats import qmc
from torch import Tensor
from torch.func import grad, vmap

from envs import make_task
from methods.heads.alpha import AlphaHead
from methods.heads.density import log_gaussian, log_ray_mass


def draws(dim: int, rows: int, std: float) -> tuple[Tensor, Tensor, Tensor]:
    """Points w, means and log standard deviations about ``std``; means along the ray either way among them."""
    generator = torch.Generator().manual_seed(dim)
    edge, mean, log_std = torch.randn((3, rows, dim), generator=generator, dtype=torch.float64)
    along = torch.randn((rows, 1), generator=generator, dtype=torch.float64)
    mean[::2] = (3 * along * edge)[::2]
    return edge, mean, 0.3 * log_std + math.log(std)


def integral(w: Tensor, mean: Tensor, log_std: Tensor) -> float:
    """Log of the integral of ``N(t w) t^(d-1)`` over t >= 1, by SciPy."""

    def log_integrand(t: float) -> float:
        return (log_gaussian((t * w - mean)[None], log_std[None]) + (len(w) - 1) * math.log(t)).item()

    grid = np.geomspace(1, 1000, 3000)
    peak = grid[np.argmax([log_integrand(t) for t in grid])]
    largest = log_integrand(peak)
    reach = 10 / float((w / log_std.exp()).norm())
    ends = [1, *(max(1, peak + share * reach) for share in (-1, -0.1, 0, 0.1, 1, 6))]
    pieces = itertools.pairwise(ends)
    whole = sum(quad(lambda t: math.exp(log_integrand(t) - largest), *piece, epsrel=1e-10)[0] for piece in pieces)
    return largest + math.log(whole)


@pytest.mark.parametrize("std", [0.3, 2.0])
@pytest.mark.parametrize("dim", [1, 2, 3, 6, 17])
def test_the_mass_of_a_ray_is_its_integral(dim: int, std: float) -> None:
    edge, mean, log_std = draws(dim, 10, std)
    for w, m, s, found in zip(edge, mean, log_std, log_ray_mass(edge, mean, log_std), strict=True):
        assert found.item() == pytest.approx(integral(w, m, s) + math.log(float(w.norm())), abs=1e-8)


@pytest.mark.parametrize("std", [1e-9, 1e-3, 1.0, 1e3])
@pytest.mark.parametrize("dim", [1, 2, 6, 17])
def test_it_is_finite_however_narrow_or_far(dim: int, std: float) -> None:
    edge, mean, log_std = draws(dim, 50, std)
    leaves = [edge.requires_grad_(), (100 * mean).requires_grad_(), log_std.requires_grad_()]
    mass = log_ray_mass(*leaves)
    assert mass.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(mass.sum(), leaves))


@pytest.mark.parametrize("dim", [1, 3, 17])
def test_its_gradient_is_that_of_finite_differences(dim: int) -> None:
    leaves = [part.requires_grad_() for part in draws(dim, 4, 0.7)]
    assert torch.autograd.gradcheck(log_ray_mass, leaves, atol=1e-6)


@pytest.mark.parametrize("task_id", ["R+L2", "BSS-3", "H+M", "HC+O"])
def test_the_density_integrates_to_1(task_id: str) -> None:
    """Over directions from the centre by quasi-Monte Carlo to 2e-3, along each ray by Gauss-Legendre quadrature.

    The dimensions are 2, 2, 3 and 6.
    """
    head = AlphaHead(make_task(task_id).constraint)
    c, d = head.constraint, head.outputs
    obs = torch.linspace(-9, 9, 17, dtype=torch.float64)[None]
    mean, log_std = (
        torch.linspace(-0.2, 0.3, d, dtype=torch.float64),
        torch.linspace(-0.7, -0.2, d, dtype=torch.float64),
    )

    uniform = torch.as_tensor(qmc.Sobol(d, rng=0).random(2**14))
    direction = torch.as_tensor(ndtri(uniform.numpy()))
    direction = direction / direction.norm(dim=1, keepdim=True)
    states = obs.expand(len(direction), -1)
    # Far out every action is on the boundary.
    flat = c.free_dim < c.dim
    lower, upper = map(torch.as_tensor, c.free_box if flat else (c.lower, c.upper))
    middle, half = c.to_free(c.interior(obs)) if flat else (lower + upper) / 2, (upper - lower) / 2
    centre = (c.to_free(c.interior(obs)) - middle) / half
    far = centre + 1e3 * direction
    edge = (c.to_free(head(far, states)) - middle) / half - centre
    length = edge.norm(dim=1)

    on_boundary = head.log_prob(far, mean.expand_as(far), log_std, states).exp() * length ** (d - 1)
    inside = torch.zeros_like(on_boundary)
    for node, weight in zip(*np.polynomial.legendre.leggauss(12), strict=True):
        t = (1 + node) / 2
        density = head.log_prob(centre + t * edge, mean.expand_as(far), log_std, states).exp()
        inside += weight / 2 * density * (t * length) ** (d - 1) * length
    sphere = 2 * math.pi ** (d / 2) / math.gamma(d / 2)
    assert sphere * inside.mean() > 0.01
    assert sphere * on_boundary.mean() > 0.01
    assert (sphere * (inside + on_boundary).mean()).item() == pytest.approx(1, abs=2e-3)


def test_the_density_is_differentiable_under_vmap() -> None:
    head = AlphaHead(make_task("HC+O").constraint)
    generator = torch.Generator().manual_seed(3)
    obs = 5 * torch.randn((3, 8, 17), generator=generator, dtype=torch.float64)
    mean, noise = torch.randn((2, 3, 8, 6), generator=generator, dtype=torch.float64)
    log_std = torch.full((6,), -0.5, dtype=torch.float64)

    def entropy(mean: Tensor, log_std: Tensor, noise: Tensor, obs: Tensor) -> Tensor:
        return -head.log_prob(mean + log_std.exp() * noise, mean, log_std, obs).sum()

    assert torch.autograd.gradcheck(
        lambda mean, log_std: entropy(mean, log_std, noise[0], obs[0]),
        (mean[0].clone().requires_grad_(), log_std.clone().requires_grad_()),
        atol=1e-5,
    )
    found = vmap(grad(entropy), in_dims=(0, None, 0, 0))(mean, log_std, noise, obs)
    for seed in range(3):
        leaf = mean[seed].clone().requires_grad_()
        (expected,) = torch.autograd.grad(entropy(leaf, log_std, noise[seed], obs[seed]), leaf)
        torch.testing.assert_close(found[seed], expected, atol=1e-11, rtol=1e-11)
