"""What the harness measures with: the clock, the meter, repair and the counts of violations."""

from __future__ import annotations

import itertools
from typing import Literal

import pytest
import torch

from benchmark.training import meter as module
from benchmark.training.meter import Clock, Meter, PolicyCounter, Repair, with_meter
from envs import make_task
from envs.constraints import Constraint
from envs.seeding import make_generator

TASK = make_task("R+L2")
INSIDE = torch.tensor([[0.1, 0.1]], dtype=torch.float64)
OUTSIDE = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
OBS = torch.zeros((1, 10), dtype=torch.float64)


# --- the clock --------------------------------------------------------------------------------------------------------


def test_inner_parts_do_not_count_for_the_outer_one_even_if_they_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = itertools.count()
    # Read as 0, 1, 2 and so on, so that each stretch between two readings lasts 1 s.
    monkeypatch.setattr(module.time, "perf_counter", lambda: float(next(ticks)))
    clock = Clock()
    with clock.part("outer"):
        with pytest.raises(RuntimeError), clock.part("inner"):
            raise RuntimeError
        with clock.part("inner"):
            pass
    with clock.part("later"):
        pass
    # outer: before, between and after the two; none: between outer and later.
    assert clock.seconds == {"outer": 3.0, "inner": 2.0, "later": 1.0}


# --- the meter and repair ---------------------------------------------------------------------------------------------


@pytest.fixture
def meter() -> Meter:
    return Meter(Clock())


@pytest.fixture
def ball(meter: Meter) -> Constraint:
    return with_meter(TASK.constraint, meter)


def test_calls_of_a_method_are_counted_with_their_rows(meter: Meter, ball: Constraint) -> None:
    ball.project(OUTSIDE.expand(7, -1), OBS.expand(7, -1))
    ball.project(INSIDE, OBS)
    ball.linear_oracle(OUTSIDE.expand(3, -1), OBS.expand(3, -1))
    counted = {"project": 2, "project_rows": 8, "oracle": 1, "oracle_rows": 3}
    assert meter.calls.model_dump() == counted
    with meter.paused():
        ball.project(OUTSIDE, OBS)
        ball.linear_oracle(OUTSIDE, OBS)
    assert meter.calls.model_dump() == counted


@pytest.mark.parametrize("task", ["R+L2", "HC+O", "R+T", "BSS-3", "H+O+S"])
def test_what_a_constraint_asks_itself_for_does_not_count(task: str, meter: Meter) -> None:
    constraint = with_meter(make_task(task).constraint, meter)
    obs = torch.ones((2, 20), dtype=torch.float64)
    constraint.sample(obs, make_generator(0, "meter"))
    constraint.interior(obs)
    constraint.gauge(torch.zeros((2, constraint.dim), dtype=torch.float64), obs)
    assert not any(meter.calls.model_dump().values())


@pytest.mark.parametrize(("solver", "calls"), [("exact", 1), ("cvxpy", 2)])
def test_only_infeasible_actions_are_repaired_but_by_the_qp(
    meter: Meter, solver: Literal["exact", "cvxpy"], calls: int
) -> None:
    repair = Repair(TASK.constraint, solver, Clock(), meter)
    for action in (INSIDE, OUTSIDE):
        nearest = TASK.constraint.project(action, OBS)
        torch.testing.assert_close(repair(action, OBS), nearest, atol=1e-5, rtol=0)
    assert (meter.calls.project, meter.calls.project_rows) == (calls, calls)


# --- violations -------------------------------------------------------------------------------------------------------


def test_contexts_of_a_policy_are_kept() -> None:
    counter = PolicyCounter(make_task("R+O10").constraint)
    obs = torch.zeros((3, 10), dtype=torch.float64)
    obs[:, 6] = torch.tensor([1.0, 2.0, 1 / 3])
    counter(torch.tensor([[0.5, 0.0], [0.9, 0.0], [1.0, 0.0]], dtype=torch.float64), obs)
    counter(torch.tensor([[1.5, 0.0]], dtype=torch.float64), obs[:1])
    assert counter.contexts(most=10) == [[1.0, 0.0], [2.0, 0.0], [0.3333333, 0.0], [1.0, 0.0]]
    assert len(counter.contexts(most=2)) == 2


def test_contexts_are_kept_from_every_parallel_episode() -> None:
    counter = PolicyCounter(make_task("R+O10").constraint)
    obs = torch.zeros((50, 10), dtype=torch.float64)
    obs[:, 6] = torch.arange(50)
    for step in range(100):
        obs[:, 7] = step
        counter(torch.zeros((50, 2), dtype=torch.float64), obs.clone())
    kept = counter.contexts(most=500)
    assert len(kept) == 500
    assert {row[0] for row in kept} == set(range(50))
    assert len({row[1] for row in kept}) > 90
