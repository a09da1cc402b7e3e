"""Effective samples and R-hat, where the truth is known."""

import numpy as np
import pytest
import torch

from envs.constraints import Box, Power
from envs.sampling.diagnostics import diagnose
from envs.sampling.samples import Samples

BOX = Box(-np.ones(2), np.ones(2))
ONE_STATE = torch.zeros((8, 1), dtype=torch.float64)


def as_samples(draws: np.ndarray) -> Samples:
    """Samples of draws (D, C, n)."""
    return Samples(torch.from_numpy(draws).flatten(0, 1), proposals=1, acceptance=1.0)


def autoregressive(correlation: float, draws: int = 2000) -> np.ndarray:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((draws, 8, 2))
    for step in range(1, draws):
        values[step] = correlation * values[step - 1] + np.sqrt(1 - correlation**2) * values[step]
    return values


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_effective_samples_of_an_autoregressive_process(correlation: float) -> None:
    found = diagnose(as_samples(autoregressive(correlation)), BOX, ONE_STATE)
    # For the mean of an AR(1) process; the smallest of several estimates lies below.
    expected = 16_000 * (1 - correlation) / (1 + correlation)
    assert found.ess is not None
    assert 0.75 * expected < found.ess < 1.15 * expected
    assert found.rhat == pytest.approx(1, abs=0.02)


def test_a_slow_radius_counts_although_every_coordinate_mixes() -> None:
    rng = np.random.default_rng(0)
    radius = np.exp(autoregressive(0.9)[:, :, :1])
    directions = rng.standard_normal((2000, 8, 2))
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    fast, slow = (diagnose(as_samples(draws), BOX, ONE_STATE).ess for draws in (directions, radius * directions))
    assert fast is not None
    assert slow is not None
    assert slow < 0.25 * fast


def test_no_more_than_the_draws() -> None:
    """Draws that alternate estimate the mean better than independent ones, and still count once each."""
    found = diagnose(as_samples(autoregressive(-0.8)), BOX, ONE_STATE)
    assert found.ess is not None
    assert found.ess <= 16_000


def test_chains_that_disagree() -> None:
    draws = autoregressive(0.0)
    draws[:, 0] += 3
    found = diagnose(as_samples(draws), BOX, ONE_STATE)
    assert found.rhat is not None
    assert found.rhat > 1.2


def test_chains_at_different_states_are_not_compared() -> None:
    constraint = Power(1.0, -np.ones(2), np.ones(2), (0, 1))
    draws = autoregressive(0.0)
    draws[:, ::2] += 3
    two = torch.tensor([[1.0, 2.0, 7.0], [3.0, 4.0, 8.0]], dtype=torch.float64).repeat(4, 1)
    # What does not enter the constraint makes no other state.
    two[:, 2] = torch.arange(8)
    found = diagnose(as_samples(draws), constraint, two)
    assert found.rhat == pytest.approx(1, abs=0.02)
    assert found.ess == pytest.approx(16_000, rel=0.2)
    alone = diagnose(as_samples(draws), constraint, torch.arange(16.0).double().view(8, 2))
    assert alone.rhat is None
    assert alone.ess == pytest.approx(16_000, rel=0.2)


def test_more_states_than_are_looked_at() -> None:
    constraint = Power(1.0, -np.ones(2), np.ones(2), (0, 1))
    draws = np.random.default_rng(0).standard_normal((200, 300, 2))
    found = diagnose(as_samples(draws), constraint, torch.arange(600.0).double().view(300, 2))
    assert found.ess == pytest.approx(60_000, rel=0.3)


def test_too_few_draws_tell_nothing() -> None:
    found = diagnose(as_samples(autoregressive(0.0, draws=3)), BOX, ONE_STATE)
    assert (found.ess, found.rhat) == (None, None)
