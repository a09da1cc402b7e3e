"""The clock and the meter."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmark.training import meter as clock_module
from benchmark.training.meter import Clock, MeteredConstraint
from envs import make_task


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
def meter() -> MeteredConstraint:
    return MeteredConstraint(make_task("R+L2").constraint, Clock())


def test_calls_of_a_method_are_counted_with_their_rows(meter: MeteredConstraint) -> None:
    meter.project(OUTSIDE.expand(7, -1), OBS.expand(7, -1))
    meter.project(INSIDE, OBS)
    meter.linear_oracle(OUTSIDE.expand(3, -1), OBS.expand(3, -1))
    assert meter.calls.model_dump() == {"project": 2, "project_rows": 8, "oracle": 1, "oracle_rows": 3}


def test_only_infeasible_actions_are_repaired(meter: MeteredConstraint) -> None:
    assert meter.repair(INSIDE, OBS) is INSIDE
    assert meter.calls.project == 0
    assert meter.contains(meter.repair(OUTSIDE, OBS), OBS).all()
    assert meter.calls.project == 1


def test_the_qp_is_solved_at_every_step(meter: MeteredConstraint) -> None:
    meter.solver = "cvxpy"
    for action in (INSIDE, OUTSIDE):
        torch.testing.assert_close(
            meter.repair(action, OBS), make_task("R+L2").constraint.project(action, OBS), atol=1e-5, rtol=0
        )
    assert (meter.calls.project, meter.calls.project_rows) == (2, 2)


def test_preparation_and_evaluation_are_not_counted(meter: MeteredConstraint) -> None:
    with meter.unmetered():
        meter.project(OUTSIDE, OBS)
        meter.linear_oracle(OUTSIDE, OBS)
    assert not any(meter.calls.model_dump().values())


def test_answers_are_those_of_the_constraint(meter: MeteredConstraint) -> None:
    own = make_task("R+L2").constraint
    assert torch.equal(meter.project(OUTSIDE, OBS), own.project(OUTSIDE, OBS))
    assert torch.equal(meter.linear_oracle(OUTSIDE, OBS), own.linear_oracle(OUTSIDE, OBS))
    assert (meter.dim, meter.free_dim, meter.context_indices) == (own.dim, own.free_dim, own.context_indices)
