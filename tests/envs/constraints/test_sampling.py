"""Samples are uniform, with fixed seeds and stated thresholds."""

import numpy as np
import pytest
import torch
from scipy import stats

from envs.constraints import Allocation, Ball, Power, WeightedL1
from envs.errors import UserError

ROWS = 20_000
# Chance of a false alarm in one comparison; seeds are fixed, so that it is drawn once and for all.
ALARM = 1e-4


def rejected_from_box(constraint, obs_row: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Uniform by definition: draws from the bounding box, in free coordinates, that happen to be feasible."""
    lower, upper = map(constraint.to_free, constraint.bounding_box(obs_row))
    draws: list[torch.Tensor] = []
    while sum(map(len, draws)) < ROWS:
        free = lower + torch.rand((400_000, constraint.free_dim), generator=generator).double() * (upper - lower)
        action = constraint.from_free(free)
        draws.append(action[constraint.contains(action, obs_row.expand(len(action), -1))])
    return torch.cat(draws)[:ROWS]


@pytest.mark.parametrize("scale", [0.0, 5.0, 15.0])
def test_samples_are_uniform(case, generator, scale: float) -> None:
    """Coordinates and random projections have the distribution of plain rejection (Kolmogorov-Smirnov)."""
    obs_row = torch.linspace(-1, 1.5, case.width, dtype=torch.float64)[None] * scale
    if case.name == "l1-uneven-box":
        obs_row = obs_row / 10
    expected = rejected_from_box(case.constraint, obs_row, generator)
    found = case.constraint.sample(obs_row.expand(ROWS, -1), generator)
    n = case.constraint.dim
    views = torch.cat([torch.eye(n), torch.randn((n, 4), generator=generator)], dim=1).double()
    for view in views.T:
        assert stats.ks_2samp(found @ view, expected @ view).pvalue > ALARM
        assert stats.ks_2samp((found @ view).abs(), (expected @ view).abs()).pvalue > ALARM


def test_every_row_has_its_own_set(generator) -> None:
    """Rows with both proposals side by side: each keeps its second moment, b^2 / w^2 * 2 / ((n + 1)(n + 2))."""
    constraint = WeightedL1(20.0, -np.ones(6), np.ones(6), range(6))
    weight = torch.tensor([100.0, 0.1], dtype=torch.float64).repeat(ROWS)[:, None].expand(-1, 6)
    action = constraint.sample(weight, generator)
    heavy, light = action[::2], action[1::2]
    assert (heavy**2).mean() == pytest.approx(0.2**2 * 2 / (7 * 8), rel=0.02)
    assert (light**2).mean() == pytest.approx(1 / 3, rel=0.02)


@pytest.mark.parametrize(
    "constraint",
    [
        WeightedL1(20.0, -np.ones(6), np.ones(6), range(6)),
        Power(10.0, -np.ones(6), np.ones(6), range(6)),
        Allocation(150, np.zeros(5), np.full(5, 35.0)),
        Ball(0.05, -np.ones(2), np.ones(2)),
    ],
    ids=["HC+O", "W+M", "BSS-5", "R+L2"],
)
def test_tiny_sets_are_sampled_in_few_rounds(constraint, generator, monkeypatch) -> None:
    monkeypatch.setattr("envs.constraints.base.REJECTION_ROUNDS", 1000)
    obs = torch.full((1000, 6), 100.0, dtype=torch.float64)
    assert constraint.contains(constraint.sample(obs, generator), obs).all()


def test_a_set_that_rejection_cannot_find_is_refused(generator, monkeypatch) -> None:
    monkeypatch.setattr("envs.constraints.base.REJECTION_ROUNDS", 3)
    constraint = WeightedL1(1.0, [0.0] * 12, [1.0] * 12, range(12))
    with pytest.raises(UserError, match="rejection found no feasible action"):
        constraint.sample(torch.ones((50, 12), dtype=torch.float64), generator)
