"""Our learners behind every head: one update is one pure function, which learns the same for seeds side by side."""

from __future__ import annotations

import pytest
import torch

from envs import make_task
from methods import list_methods, make_method
from methods.base import method_class
from methods.functional import by_transform
from methods.learner import Learner
from tests.methods.learners import feed, settings

ROWS = [id for id in list_methods() if issubclass(method_class(id), Learner)]
UPDATES = 100


def learner(method: str, task: str, seed: int) -> Learner:
    made = make_method(method, make_task(task), settings(method), seed)
    made.prepare()
    feed(made, 60, seed)
    return made


@pytest.mark.parametrize("task", ["HC+O", "BSS-3"])
@pytest.mark.parametrize("method", ROWS)
def test_seeds_side_by_side_learn_what_each_learns_alone(method: str, task: str) -> None:
    seeds = [learner(method, task, seed) for seed in range(3)]
    stacked = torch.utils._pytree.tree_map(lambda *tensors: torch.stack(tensors), *(one.state for one in seeds))
    for turn in range(1, UPDATES + 1):
        drawn = [(one.replay.sample(8, one.replay_generator), one.draw_noise(8)) for one in seeds]
        batch, noise = torch.utils._pytree.tree_map(lambda *tensors: torch.stack(tensors), *drawn)

        def update(state, batch, noise, turn=turn):
            return seeds[0].update_state(state, batch, noise, turn, by_transform)

        stacked, _ = torch.func.vmap(update)(stacked, batch, noise)
        for one, (own_batch, own_noise) in zip(seeds, drawn, strict=True):
            one.state, _ = one.update_state(one.state, own_batch, own_noise, turn)
    for k, one in enumerate(seeds):
        for name, tensors in one.state.items():
            for index, tensor in enumerate(tensors):
                torch.testing.assert_close(stacked[name][index][k], tensor, atol=1e-5, rtol=1e-5)
