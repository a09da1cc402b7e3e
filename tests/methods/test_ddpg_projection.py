"""DDPG+projection with either solver."""

from __future__ import annotations

import pytest
import torch

from benchmark.training.meter import Clock, Meter, Repair
from methods import make_method
from tests.methods.learners import feed, make_learner, observations, settings


@pytest.mark.parametrize("task", ["R+L2", "HC+O", "H+M", "BSS-3"])
def test_both_solvers_execute_the_same_actions(task: str) -> None:
    learner = make_learner("ddpg-projection", task, noise=0.5)
    feed(learner, 30)
    for obs in observations(learner.task, 20).split(1):
        asked = learner.act(obs, explore=True).double()
        executed = []
        for solver in ("exact", "cvxpy"):
            solves = make_method("ddpg-projection", learner.task, settings("", solver=solver)).projection_solver
            clock = Clock()
            executed.append(Repair(learner.task.constraint, solves, clock, Meter(clock))(asked, obs))
        # As near as the solver comes at its default settings.
        torch.testing.assert_close(*executed, atol=1e-5, rtol=1e-6)


def test_the_qp_row_differs_in_its_solver_only() -> None:
    plain, solved = make_learner("ddpg-projection"), make_learner("ddpg-projection-qp")
    assert (plain.projection_solver, solved.projection_solver) == ("exact", "cvxpy")
    obs = observations(plain.task, 5)
    assert torch.equal(plain.act(obs, explore=False), solved.act(obs, explore=False))
