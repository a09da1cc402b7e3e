"""Rejection: feasible, uniform, reproducible, and the acceptance is the ratio of volumes."""

import math

import numpy as np
import pytest
import torch

from envs import make_task
from envs.constraints import Ball, WeightedL1
from envs.errors import UserError
from envs.sampling.rejection import sample_rejection
from tests.envs.sampling.two_sample import ALARM, FAMILIES, Discs, Ring, energy_pvalue, task_states

ROWS = 100_000
NO_STATE = torch.zeros((1, 1), dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("box", ["action", "bounding"])
@pytest.mark.parametrize("task_id", FAMILIES)
def test_every_row_is_feasible_at_its_own_state(task_id: str, box) -> None:
    constraint = make_task(task_id).constraint
    obs = task_states(task_id, count=20).repeat(50, 1)
    samples = sample_rejection(constraint, obs, generator(), box)
    assert samples.actions.shape == (len(obs), constraint.dim)
    assert samples.actions.dtype == torch.float64
    assert constraint.contains(samples.actions, obs).all()
    assert samples.acceptance == len(obs) / samples.proposals <= 1


BALL = make_task("R+L2").constraint
DIAMOND = WeightedL1(1.0, -np.ones(2), np.ones(2), (0, 1))
TWO = torch.full((1, 2), 2.0, dtype=torch.float64)


@pytest.mark.parametrize(
    ("constraint", "obs", "box", "share"),
    [
        (BALL, NO_STATE, "action", math.pi * 0.05 / 4),
        (BALL, NO_STATE, "bounding", math.pi / 4),
        (DIAMOND, TWO, "action", 0.125),
        (DIAMOND, TWO, "bounding", 0.5),
        (Ring(), NO_STATE, "action", math.pi * 0.03 / 4),
        (Discs(), NO_STATE, "action", math.pi * 0.07 / 4),
        # In the plane of the allocations: above the diagonal of the square [20, 35]^2.
        (make_task("BSS-3").constraint, NO_STATE, "action", 0.5),
        (make_task("R+N").constraint, NO_STATE, "action", 1.0),
    ],
)
def test_the_acceptance_is_the_ratio_of_volumes(constraint, obs, box, share: float) -> None:
    samples = sample_rejection(constraint, obs.expand(ROWS, -1), generator(1), box)
    # The number of proposals is a sum of geometric variables: four standard deviations.
    deviation = math.sqrt(ROWS * (1 - share)) / share
    assert samples.proposals == pytest.approx(ROWS / share, abs=4 * deviation)


def test_both_boxes_give_the_same_distribution() -> None:
    obs = TWO.expand(1000, -1)
    first = sample_rejection(DIAMOND, obs, generator(1), "action").actions
    second = sample_rejection(DIAMOND, obs, generator(2), "bounding").actions
    assert energy_pvalue(first, second) > ALARM


def test_moments_of_the_ball() -> None:
    constraint = Ball(0.5, -np.ones(4), np.ones(4))
    actions = sample_rejection(constraint, NO_STATE.expand(ROWS, -1), generator()).actions
    # E a_i^2 = R^2 / (n + 2); 4 standard errors, with E a_i^4 = 3 R^4 / ((n + 2)(n + 4)).
    second, fourth = 0.5 / 6, 3 * 0.25 / 48
    assert torch.allclose(
        (actions**2).mean(dim=0), torch.tensor(second).double(), rtol=0, atol=4 * error(second, fourth)
    )
    assert actions.mean(dim=0).abs().max() < 4 * math.sqrt(second / ROWS)


def error(second: float, fourth: float) -> float:
    return math.sqrt((fourth - second**2) / ROWS)


def test_rows_that_differ_keep_their_own_sets() -> None:
    weight = torch.tensor([1.0, 10.0], dtype=torch.float64).repeat(20_000)[:, None].expand(-1, 2)
    actions = sample_rejection(DIAMOND, weight, generator()).actions
    # Uniform on |a1| + |a2| <= r: E a_i^2 = r^2 / 6.
    for rows, radius in ((slice(0, None, 2), 1.0), (slice(1, None, 2), 1 / 10)):
        assert (actions[rows] ** 2).mean() == pytest.approx(radius**2 / 6, rel=0.03)


def test_the_generator_decides_and_nothing_else() -> None:
    obs = NO_STATE.expand(500, -1)
    first, second, other = (sample_rejection(BALL, obs, generator(seed)).actions for seed in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_a_hopeless_set_is_refused_with_its_acceptance() -> None:
    constraint = Ball(1e-12, -np.ones(2), np.ones(2))
    with pytest.raises(UserError, match=r"proposals left 10 of 10 states without a sample \(acceptance 0.0e\+00\)"):
        sample_rejection(constraint, NO_STATE.expand(10, -1), generator(), max_proposals=100_000)
    assert len(sample_rejection(constraint, NO_STATE.expand(10, -1), generator(), "bounding").actions) == 10
