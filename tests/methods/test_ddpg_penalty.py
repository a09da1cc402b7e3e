"""Reward shaping by the distance that the projection moved the action."""

from __future__ import annotations

import pytest
import torch

from methods.base import Transition
from tests.methods.learners import make_learner


def shaped(behaviour: list[float], executed: list[float]) -> float:
    learner = make_learner("ddpg-penalty", penalty=2.0)
    obs = torch.zeros((1, 10))
    learner.observe(Transition(obs, torch.tensor([behaviour]), torch.tensor([executed]), 1.0, obs, False, False))
    return learner.replay.sample(1, torch.Generator()).reward.item()


def test_the_reward_falls_by_lambda_times_the_distance() -> None:
    # The distance is 0.5, of a 3-4-5 triangle.
    assert shaped([0.3, 0.5], [0.0, 0.1]) == pytest.approx(1.0 - 2.0 * 0.5)


def test_a_feasible_action_costs_nothing() -> None:
    assert shaped([0.1, 0.1], [0.1, 0.1]) == 1.0
