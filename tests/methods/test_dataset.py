"""What flows are trained on."""

from __future__ import annotations

import pytest
import torch

from envs import make_task
from envs.sampling.dataset import draw_dataset, embed


@pytest.mark.parametrize("task_id", ["R+L2", "HC+O", "W+M", "BSS-5"])
def test_samples_are_feasible_at_contexts_wider_than_those_visited(task_id: str) -> None:
    constraint = make_task(task_id).constraint
    samples = draw_dataset(make_task(task_id), 2000, 500, 300, seed=5)
    for part, count in (("train", 2000), ("test", 500)):
        context, action = samples[f"{part}_context"], samples[f"{part}_action"]
        assert action.dtype == torch.float32
        assert len(context) == len(action) == count
        # Contexts and actions are kept in single precision: of a sum of bikes that is 150 * 6e-8 a term.
        scale = max(1.0, float(abs(constraint.upper).max()))
        assert constraint.contains(action.double(), embed(constraint, context).double(), 1e-5 * scale).all()
    if constraint.context_indices:
        visited, widened_half = samples["train_context"].split(1000)
        assert (widened_half.abs().amax(dim=0) > visited.abs().amax(dim=0)).all()


def test_a_dataset_is_decided_by_its_seed() -> None:
    task = make_task("H+M")
    first, same, other = (draw_dataset(task, 100, 50, 60, seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    # The test set is none of the training set.
    train, test = ({tuple(row) for row in first[f"{part}_action"].tolist()} for part in ("train", "test"))
    assert not train & test
