"""The ring buffer."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from methods.base import Transition
from methods.replay import ReplayBuffer


def step(number: int, terminated: bool = False, truncated: bool = False) -> Transition:
    """A transition whose every entry tells which one it is."""
    obs, action = torch.full((1, 3), float(number)), torch.full((1, 2), number + 0.5)
    return Transition(obs, -action, action, float(-number), obs + 1, terminated, truncated)


def filled(size: int, added: int) -> ReplayBuffer:
    buffer = ReplayBuffer(size, 3, 2)
    for number in range(added):
        buffer.add(step(number))
    return buffer


@settings(max_examples=30, deadline=None)
@given(size=st.integers(1, 7), added=st.integers(1, 25))
def test_it_holds_the_last_transitions_and_no_others(size: int, added: int) -> None:
    buffer = filled(size, added)
    batch = buffer.sample(300, torch.Generator().manual_seed(0))
    assert len(buffer) == min(size, added)
    assert set(batch.obs[:, 0].int().tolist()) == set(range(max(0, added - size), added))


def test_a_row_stays_together() -> None:
    batch = filled(5, 8).sample(50, torch.Generator().manual_seed(1))
    number = batch.obs[:, :1]
    assert torch.equal(batch.obs, number.expand(-1, 3))
    assert torch.equal(batch.action, (number + 0.5).expand(-1, 2))
    assert torch.equal(batch.reward, -number)
    assert torch.equal(batch.next_obs, (number + 1).expand(-1, 3))


def test_the_executed_action_is_kept_and_not_the_one_asked_for() -> None:
    batch = filled(4, 4).sample(20, torch.Generator().manual_seed(2))
    assert (batch.action > 0).all()


def test_only_terminated_episodes_are_marked() -> None:
    buffer = ReplayBuffer(2, 3, 2)
    buffer.add(step(0, truncated=True))
    buffer.add(step(1, terminated=True))
    batch = buffer.sample(40, torch.Generator().manual_seed(3))
    assert torch.equal(batch.terminated, batch.obs[:, :1])


def test_the_generator_alone_decides_what_is_drawn() -> None:
    buffer = filled(50, 50)
    first, same, other = (buffer.sample(20, torch.Generator().manual_seed(seed)).obs for seed in (4, 4, 5))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
