"""Which methods there are, and which do not apply where."""

from __future__ import annotations

import pytest

from envs import UserError, make_task
from methods import list_methods, make_method
from tests.methods.learners import ALL_METHODS, settings

FOR_CONVEX_ONLY = {"ddpg-projection-qp", "flowpg-gauge", "nfw"}


def test_every_method_is_found() -> None:
    assert {*ALL_METHODS, "random-feasible"} <= set(list_methods())


@pytest.mark.parametrize("task", ["R+Ring", "R+2D"])
@pytest.mark.parametrize("method", ALL_METHODS)
def test_what_needs_a_convex_constraint_refuses_others(method: str, task: str) -> None:
    if method not in FOR_CONVEX_ONLY:
        make_method(method, make_task(task), settings(method))
        return
    with pytest.raises(UserError, match=rf"'{method}' does not apply to .*, whose constraint is not convex: \w"):
        make_method(method, make_task(task), settings(method))
