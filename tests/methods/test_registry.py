"""Which methods do not apply where."""

from __future__ import annotations

import pytest

from envs import UserError, make_task
from methods import list_methods, make_method

CONVEX_HEADS = {"ddpg-gauge", "dalpha", "drad", "td3-gauge", "salpha", "srad", "sac-gauge"}
FOR_CONVEX_ONLY = {"ddpg-projection-qp", "flowpg-gauge", "nfw", "nfw-target", *CONVEX_HEADS}


@pytest.mark.parametrize("method", list_methods())
def test_what_needs_a_convex_constraint_refuses_others(method: str) -> None:
    if method not in FOR_CONVEX_ONLY:
        make_method(method, make_task("R+2D"))
        return
    with pytest.raises(UserError, match=rf"'{method}' does not apply to .*, whose constraint is not convex: \w"):
        make_method(method, make_task("R+2D"))
