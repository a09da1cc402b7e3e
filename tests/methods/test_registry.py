"""Which methods do not apply where."""

from __future__ import annotations

import pytest

from envs import UserError, make_task
from methods import make_method
from tests.methods.learners import ALL_METHODS, settings

FOR_CONVEX_ONLY = {"ddpg-projection-qp", "flowpg-gauge", "nfw", "nfw-target"}


@pytest.mark.parametrize("method", ALL_METHODS)
def test_what_needs_a_convex_constraint_refuses_others(method: str) -> None:
    if method not in FOR_CONVEX_ONLY:
        make_method(method, make_task("R+2D"), settings(method))
        return
    with pytest.raises(UserError, match=rf"'{method}' does not apply to .*, whose constraint is not convex: \w"):
        make_method(method, make_task("R+2D"), settings(method))
