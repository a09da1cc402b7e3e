"""Violations, counted."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.records.results import TOLERANCE_KEYS, TOLERANCES
from benchmark.training.violations import Judge, PolicyJudge, Tally
from envs import make_task

OBS = torch.zeros((1, 10), dtype=torch.float64)


def row(*action: float) -> torch.Tensor:
    return torch.tensor([action], dtype=torch.float64)


def test_a_tally_by_hand() -> None:
    tally = Tally()
    for size in (0.0, -1.0, 5e-7, 0.005, 0.3):
        tally.add(size)
    found = tally.record()
    assert (found.n, found.count, found.max) == (5, 3, 0.3)
    assert found.mean == pytest.approx((5e-7 + 0.005 + 0.3) / 3)
    assert found.valid_share == {"0": 0.4, "1e-06": 0.6, "0.001": 0.6, "0.01": 0.8, "0.1": 0.8}


def test_a_policys_outputs_are_counted_and_its_contexts_kept() -> None:
    judge = PolicyJudge(make_task("R+O10").constraint)
    obs = torch.zeros((3, 10), dtype=torch.float64)
    obs[:, 6] = torch.tensor([1.0, 2.0, 1 / 3])
    judge(torch.tensor([[0.5, 0.0], [0.9, 0.0], [1.0, 0.0]], dtype=torch.float64), obs)
    judge(torch.tensor([[1.5, 0.0]], dtype=torch.float64), obs[:1])
    found = judge.tally.record()
    assert (found.n, found.count) == (4, 2)
    # 2 x 0.9 - 1 of the constraint; 1.5 - 1 of it and as much of the box.
    assert found.mean == pytest.approx((0.8 + 1.0) / 2)
    assert judge.contexts(most=10) == [[1.0, 0.0], [2.0, 0.0], [0.3333333, 0.0], [1.0, 0.0]]
    assert judge.contexts(most=2) == [[1.0, 0.0], [0.3333333, 0.0]]


def test_a_constraint_without_context_leaves_none() -> None:
    judge = PolicyJudge(make_task("R+L2").constraint)
    judge(torch.zeros((3, 2), dtype=torch.float64), torch.zeros((3, 10), dtype=torch.float64))
    assert judge.contexts(most=10) == []


def test_an_empty_tally_is_all_valid() -> None:
    found = Tally().record()
    assert (found.n, found.count, found.mean, found.max) == (0, 0, 0.0, 0.0)
    assert set(found.valid_share.values()) == {1.0}


@given(sizes=st.lists(st.one_of(st.floats(-1, 1), st.sampled_from(TOLERANCES)), min_size=1, max_size=30))
def test_a_tally_agrees_with_a_plain_count(sizes: list[float]) -> None:
    tally = Tally()
    for size in sizes:
        tally.add(size)
    found = tally.record()
    assert found.count == sum(size > 0 for size in sizes)
    for key, tol in zip(TOLERANCE_KEYS, TOLERANCES, strict=True):
        assert found.valid_share[key] == sum(size <= tol for size in sizes) / len(sizes)


def test_policy_behaviour_and_executed_are_told_apart() -> None:
    judge = Judge(make_task("R+L2").constraint)
    judge.judge(row(0.1, 0.1), row(0.3, 0.1), row(0.1, 0.0), OBS)
    judge.judge(row(0.3, 0.0), row(0.3, 0.4), row(0.0, 0.0), OBS)
    found = judge.record()
    assert [found.policy.count, found.behaviour.count, found.executed.count] == [1, 2, 0]
    # |a|^2 - 0.05
    assert found.policy.max == pytest.approx(0.04)
    assert found.behaviour.mean == pytest.approx((0.05 + 0.2) / 2)


def test_the_warm_up_is_not_the_policys() -> None:
    judge = Judge(make_task("R+L2").constraint)
    judge.judge(None, row(1.0, 1.0), row(0.0, 0.0), OBS)
    found = judge.record()
    assert [found.policy.n, found.behaviour.n, found.executed.n] == [0, 1, 1]


def test_the_action_box_counts() -> None:
    judge = Judge(make_task("R+N").constraint)
    judge.judge(row(0.0, 0.0), row(1.25, -1.5), row(1.0, -1.0), OBS)
    assert judge.record().behaviour.max == pytest.approx(0.75)


def test_the_state_of_the_step_decides() -> None:
    judge = Judge(make_task("R+O03").constraint)
    fast = OBS.clone()
    fast[0, 6] = 10.0
    for obs in (OBS, fast):
        judge.judge(None, row(0.1, 0.0), row(0.0, 0.0), obs)
    assert judge.record().behaviour.count == 1
