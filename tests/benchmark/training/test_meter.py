"""The clock and the meter."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.training import meter as clock_module
from benchmark.training.meter import Clock, Meter, with_meter
from benchmark.training.repair import Repair
from envs import make_task
from envs.constraints import Ball, Constraint
from envs.seeding import make_generator


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is read as 0, 1, 2 and so on, so that each stretch between two readings lasts 1 s."""
    ticks = itertools.count()
    monkeypatch.setattr(clock_module.time, "perf_counter", lambda: float(next(ticks)))


@pytest.mark.usefixtures("seconds")
def test_an_inner_part_does_not_count_for_the_outer_one() -> None:
    clock = Clock()
    with clock.part("outer"):
        with clock.part("inner"):
            pass
        with clock.part("inner"):
            pass
    # outer: before, between and after the two.
    assert clock.seconds == {"outer": 3.0, "inner": 2.0}


@pytest.mark.usefixtures("seconds")
def test_time_outside_of_all_parts_counts_for_none() -> None:
    clock = Clock()
    with clock.part("a"):
        pass
    with clock.part("b"):
        pass
    assert clock.seconds == {"a": 1.0, "b": 1.0}


@pytest.mark.usefixtures("seconds")
def test_a_part_that_raises_is_left() -> None:
    clock = Clock()
    with clock.part("outer"):
        with pytest.raises(RuntimeError), clock.part("inner"):
            raise RuntimeError
        with clock.part("inner"):
            pass
    assert clock.seconds == {"outer": 3.0, "inner": 2.0}


@given(names=st.recursive(st.just([]), lambda inner: st.lists(st.tuples(st.sampled_from("abc"), inner), max_size=3)))
def test_parts_add_up_to_the_whole(names: list[tuple[str, list]]) -> None:  # type: ignore[type-arg]
    ticks = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock_module.time, "perf_counter", lambda: float(next(ticks)))
        clock = Clock()

        def nest(tree: list[tuple[str, list]]) -> None:  # type: ignore[type-arg]
            for name, inner in tree:
                with clock.part(name):
                    nest(inner)

        with clock.part("whole"):
            nest(names)
    # Readings 1 (the whole begins) to the last one, 1 s apart.
    assert sum(clock.seconds.values()) == next(ticks) - 2


# --- the meter ------------------------------------------------------------------------------------------------------

INSIDE = torch.tensor([[0.1, 0.1]], dtype=torch.float64)
OUTSIDE = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
OBS = torch.zeros((1, 10), dtype=torch.float64)


@pytest.fixture
def meter() -> Meter:
    return Meter(Clock())


@pytest.fixture
def ball(meter: Meter) -> Constraint:
    return with_meter(make_task("R+L2").constraint, meter)


def repair(meter: Meter, solver: Literal["exact", "cvxpy"]) -> Repair:
    return Repair(make_task("R+L2").constraint, solver, Clock(), meter)


def test_calls_of_a_method_are_counted_with_their_rows(meter: Meter, ball: Constraint) -> None:
    ball.project(OUTSIDE.expand(7, -1), OBS.expand(7, -1))
    ball.project(INSIDE, OBS)
    ball.linear_oracle(OUTSIDE.expand(3, -1), OBS.expand(3, -1))
    assert meter.calls.model_dump() == {"project": 2, "project_rows": 8, "oracle": 1, "oracle_rows": 3}


@pytest.mark.parametrize("task", ["R+L2", "HC+O", "R+T", "BSS-3", "H+O+S"])
def test_what_a_constraint_asks_itself_for_does_not_count(task: str, meter: Meter) -> None:
    constraint = with_meter(make_task(task).constraint, meter)
    obs = torch.ones((2, 20), dtype=torch.float64)
    constraint.sample(obs, make_generator(0, "meter"))
    constraint.interior(obs)
    constraint.gauge(torch.zeros((2, constraint.dim), dtype=torch.float64), obs)
    assert not any(meter.calls.model_dump().values())


def test_only_infeasible_actions_are_repaired(meter: Meter) -> None:
    exact = repair(meter, "exact")
    assert exact(INSIDE, OBS) is INSIDE
    assert meter.calls.project == 0
    assert make_task("R+L2").constraint.contains(exact(OUTSIDE, OBS), OBS).all()
    assert meter.calls.project == 1


def test_the_qp_is_solved_at_every_step(meter: Meter) -> None:
    solved = repair(meter, "cvxpy")
    for action in (INSIDE, OUTSIDE):
        nearest = make_task("R+L2").constraint.project(action, OBS)
        torch.testing.assert_close(solved(action, OBS), nearest, atol=1e-5, rtol=0)
    assert (meter.calls.project, meter.calls.project_rows) == (2, 2)


def test_preparation_and_evaluation_are_not_counted(meter: Meter, ball: Constraint) -> None:
    with meter.paused():
        ball.project(OUTSIDE, OBS)
        ball.linear_oracle(OUTSIDE, OBS)
    assert not any(meter.calls.model_dump().values())


def test_a_metered_ball_is_a_ball_and_answers_as_one(ball: Constraint) -> None:
    task = make_task("R+L2")
    assert isinstance(ball, Ball)
    assert torch.equal(ball.project(OUTSIDE, OBS), task.constraint.project(OUTSIDE, OBS))
    assert torch.equal(ball.linear_oracle(OUTSIDE, OBS), task.constraint.linear_oracle(OUTSIDE, OBS))
    assert dataclasses.replace(task, constraint=ball).fingerprint() == task.fingerprint()
