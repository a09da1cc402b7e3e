"""Limits on groups: their columns, and what is refused."""

import numpy as np
import pytest
import torch

from envs.constraints import Allocation, GroupedAllocation
from envs.errors import UserError

UNIT = np.zeros(4), np.ones(4)


def test_each_limit_that_counts_has_a_column() -> None:
    # A least sum of 0 and a greatest of 2 are what the box says already.
    constraint = GroupedAllocation(1.0, [[0, 2], [1]], [0.0, 0.2], [0.5, 2.0], *UNIT)
    action = torch.tensor([[0.4, 0.1, 0.3, 0.2]], dtype=torch.float64)
    _, most, least, *box = constraint.violation(action, action)[0].tolist()
    assert (most, least) == (pytest.approx(0.2), pytest.approx(0.1))
    assert len(box) == 4


@pytest.mark.parametrize("rows", [1, 10, 100])
def test_limits_that_never_bind_leave_an_allocation(generator, rows: int) -> None:
    plain, grouped = Allocation(1.0, *UNIT), GroupedAllocation(1.0, [[0, 3]], [-1.0], [1.5], *UNIT)
    action = torch.randn((rows, 4), generator=generator, dtype=torch.float64)
    for name in ("project", "linear_oracle"):
        expected = getattr(plain, name)(action, action)
        assert torch.allclose(getattr(grouped, name)(action, action), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("groups", "least", "most", "message"),
    [
        ([[0, 1], [1, 2]], [0, 0], [1, 1], "must not share coordinates"),
        ([[0, 4]], [0], [1], "or name any that do not exist"),
        ([[0, 1]], [0, 0], [1, 1], "every group coordinates, a least and a greatest"),
        ([[]], [0], [1], "every group coordinates, a least and a greatest"),
        ([[0, 1]], [0.5], [0.5], "leave no choice"),
        ([[0, 1], [2, 3]], [0, 0], [0.4, 0.5], "leave no choice"),
        ([[0, 1], [2, 3]], [0.6, 0.4], [1, 1], "leave no choice"),
    ],
)
def test_limits_without_a_set_are_refused(groups, least, most, message: str) -> None:
    with pytest.raises(UserError, match=message):
        GroupedAllocation(1.0, groups, least, most, *UNIT)
