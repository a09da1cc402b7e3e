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
def test_it_holds_the_last_transitions_whole_and_no_others(size: int, added: int) -> None:
    buffer = filled(size, added)
    batch = buffer.sample(300, torch.Generator().manual_seed(0))
    assert len(buffer) == min(size, added)
    number = batch.obs[:, :1]
    assert set(number.int().flatten().tolist()) == set(range(max(0, added - size), added))
    assert torch.equal(batch.obs, number.expand(-1, 3))
    assert torch.equal(batch.action, (number + 0.5).expand(-1, 2))
    assert torch.equal(batch.reward, -number)
    assert torch.equal(batch.next_obs, batch.obs + 1)


def episodes(lengths: list[int]) -> list[Transition]:
    """Steps numbered on, with a gap where an episode ended: the next one starts from another observation."""
    made, number = [], 0
    for length in lengths:
        for index in range(length):
            made.append(step(number, truncated=index == length - 1))
            number += 1
        number += 10
    return made


@settings(max_examples=50, deadline=None)
@given(size=st.integers(1, 12), lengths=st.lists(st.integers(1, 6), min_size=1, max_size=8))
def test_episodes_do_not_run_into_one_another(size: int, lengths: list[int]) -> None:
    buffer, steps = ReplayBuffer(size, 3, 2), episodes(lengths)
    for transition in steps:
        buffer.add(transition)
    batch = buffer.sample(400, torch.Generator().manual_seed(6))
    assert torch.equal(batch.next_obs, batch.obs + 1)
    found = set(batch.obs[:, 0].int().tolist())
    newest = [int(transition.obs[0, 0]) for transition in steps][-len(buffer) :]
    assert found == set(newest)
    # Whatever the lengths, a slot is lost to each episode that ended, and one more where it straddles the end.
    assert min(len(steps), size) - len(lengths) <= len(buffer) <= size


@settings(max_examples=20, deadline=None)
@given(size=st.integers(1, 9), before=st.integers(1, 20), after=st.integers(0, 20))
def test_a_copy_goes_on_as_the_original(size: int, before: int, after: int) -> None:
    buffer, copy = filled(size, before), ReplayBuffer(size, 3, 2)
    copy.load_state_dict({name: value.clone() for name, value in buffer.state_dict().items()})
    for number in range(before, before + after):
        for one in (buffer, copy):
            one.add(step(number, truncated=number % 4 == 0))
    draws = [one.sample(50, torch.Generator().manual_seed(7)) for one in (buffer, copy)]
    assert len(buffer) == len(copy)
    assert all(torch.equal(a, b) for a, b in zip(*draws, strict=True))


def test_an_observation_is_stored_once() -> None:
    """1,000,000 transitions of W+M: 17 observed numbers, 6 of the action, reward and end."""
    buffer = ReplayBuffer(1000, 17, 6)
    for _ in range(1000):
        obs = torch.zeros((1, 17))
        buffer.add(Transition(obs, obs[:, :6], obs[:, :6], 0.0, obs, False, False))
    held = sum(value.numel() * value.element_size() for value in buffer.state_dict().values())
    assert held * 1000 < 105e6
