"""Rate limits: where the window is, and what gives way when the budget leaves no action within it."""

import pytest
import torch

from envs.constraints import RateLimit, RateLimitedL1, WeightedL1
from envs.errors import UserError

BOX = [-1.0, -1.0], [1.0, 1.0]
BOTH = RateLimitedL1(WeightedL1(20.0, *BOX, (0, 1)), RateLimit(0.2, *BOX, (2, 3)))


def observed(*numbers: float) -> torch.Tensor:
    return torch.tensor([numbers], dtype=torch.float64)


@pytest.mark.parametrize(
    ("before", "low", "high"),
    [
        ((0.0, 0.5), (-0.2, 0.3), (0.2, 0.7)),
        ((1.0, -0.9), (0.8, -1.0), (1.0, -0.7)),
        ((7.0, -2.0), (0.8, -1), (1, -0.8)),
    ],
)
def test_the_window_is_about_the_action_before(before, low, high) -> None:
    """Within the action box; an action before that is outside of it counts as the nearest in it."""
    limit = RateLimit(0.2, *BOX, (0, 1))
    for end, expected in zip(limit.bounding_box(observed(*before)), (low, high), strict=True):
        assert end[0].tolist() == pytest.approx(expected)


def test_the_budget_is_the_bound_wherever_it_leaves_enough() -> None:
    # The least in reach is 10 * 0.8 + 10 * 0.6 = 14, and 20 is more than 5% above.
    assert BOTH.violation(observed(1.0, 0.8), observed(10, 10, 1.0, 0.8))[0, 0].item() == pytest.approx(18 - 20)
    assert BOTH.violation(observed(1.0, 1.0), observed(-10, 10, 1.0, 0.8))[0, 0].item() == pytest.approx(20 - 20)


def test_the_budget_gives_way_where_the_rate_limit_leaves_nothing_within_it() -> None:
    # The least in reach is 30 * 0.8 + 10 * 0.6 = 30.
    obs = observed(30, -10, 1.0, 0.8)
    assert BOTH.violation(observed(0.8, 0.6), obs)[0, 0].item() == pytest.approx(30 - 31.5)
    assert BOTH.contains(observed(0.8, 0.74), obs).all()
    assert not BOTH.contains(observed(0.8, 0.76), obs).any()
    assert not BOTH.contains(observed(0.0, 0.0), obs).any()
    assert (BOTH.violation(BOTH.interior(obs), obs) < 0).all()


def test_bad_parameters_are_refused() -> None:
    with pytest.raises(UserError, match="rate is 0"):
        RateLimit(0, *BOX, (0, 1))
    with pytest.raises(UserError, match="one context index for each of the 2"):
        RateLimit(0.2, *BOX, (0,))
    with pytest.raises(UserError, match="boxes of the two constraints differ"):
        RateLimitedL1(WeightedL1(20.0, *BOX, (0, 1)), RateLimit(0.2, [-1.0, -1.0], [1.0, 2.0], (2, 3)))
