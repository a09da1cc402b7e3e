"""Rejection: feasible, uniform, reproducible, and the acceptance is the ratio of volumes."""

import math

import numpy as np
import pytest
import torch

from envs import make_task
from envs.constraints import Ball, WeightedL1
from envs.errors import UserError
from envs.sampling.rejection import sample_rejection
from tests.envs.sampling.two_sample import NO_STATE, generator, task_states

ROWS = 100_000


@pytest.mark.parametrize("box", ["action", "bounding"])
def test_every_row_is_feasible_at_its_own_state(box) -> None:
    constraint, obs = make_task("HC+O").constraint, task_states("HC+O", count=20).repeat(50, 1)
    first, again, other = (sample_rejection(constraint, obs, generator(seed), box) for seed in (5, 5, 6))
    assert constraint.contains(first.actions, obs).all()
    assert first.acceptance == len(obs) / first.proposals <= 1
    assert torch.equal(first.actions, again.actions)
    assert not torch.equal(first.actions, other.actions)


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
        (make_task("R+Ring").constraint, NO_STATE, "action", math.pi * 0.03 / 4),
        (make_task("R+2D").constraint, NO_STATE, "action", math.pi * 0.07 / 4),
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


def test_rows_that_differ_keep_their_own_sets() -> None:
    weight = torch.tensor([1.0, 10.0], dtype=torch.float64).repeat(20_000)[:, None].expand(-1, 2)
    actions = sample_rejection(DIAMOND, weight, generator()).actions
    # Uniform on |a1| + |a2| <= r: E a_i^2 = r^2 / 6.
    for rows, radius in ((slice(0, None, 2), 1.0), (slice(1, None, 2), 1 / 10)):
        assert (actions[rows] ** 2).mean() == pytest.approx(radius**2 / 6, rel=0.03)


def test_a_hopeless_set_is_refused_with_its_acceptance() -> None:
    constraint = Ball(1e-12, -np.ones(2), np.ones(2))
    with pytest.raises(UserError, match=r"proposals left 10 of 10 states without a sample \(acceptance 0.0e\+00\)"):
        sample_rejection(constraint, NO_STATE.expand(10, -1), generator(), max_proposals=100_000)
    assert len(sample_rejection(constraint, NO_STATE.expand(10, -1), generator(), "bounding").actions) == 10
