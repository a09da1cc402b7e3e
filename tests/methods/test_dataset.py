"""What flows are trained on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from envs import make_task
from envs.registry import TaskSpec
from envs.sampling.dataset import draw_dataset, embed


@pytest.fixture(scope="session", params=["R+L2", "HC+O", "W+M", "BSS-5"])
def dataset(request: pytest.FixtureRequest) -> tuple[TaskSpec, dict[str, Tensor]]:
    task = make_task(request.param)
    return task, draw_dataset(task, 2000, 500, 300, seed=5)


@pytest.mark.parametrize("part", ["train", "test"])
def test_samples_are_feasible(dataset: tuple[TaskSpec, dict[str, Tensor]], part: str) -> None:
    task, samples = dataset
    context, action = samples[f"{part}_context"], samples[f"{part}_action"]
    assert action.dtype == torch.float32
    assert len(context) == len(action) == {"train": 2000, "test": 500}[part]
    # Contexts and actions are kept in single precision: of a sum of bikes that is 150 * 6e-8 a term.
    scale = max(1.0, float(abs(task.constraint.upper).max()))
    assert task.constraint.contains(action.double(), embed(task.constraint, context).double(), 1e-5 * scale).all()


def test_the_test_set_is_none_of_the_training_set(dataset: tuple[TaskSpec, dict[str, Tensor]]) -> None:
    _, samples = dataset
    train = {tuple(row) for row in samples["train_action"].tolist()}
    assert not train & {tuple(row) for row in samples["test_action"].tolist()}


def test_contexts_are_wider_than_those_visited(dataset: tuple[TaskSpec, dict[str, Tensor]]) -> None:
    task, samples = dataset
    if not task.constraint.context_indices:
        assert samples["train_context"].shape[1] == 0
        return
    visited, widened_half = samples["train_context"].split(1000)
    assert (widened_half.abs().amax(dim=0) > visited.abs().amax(dim=0)).all()


def test_a_dataset_is_decided_by_its_seed() -> None:
    task = make_task("H+M")
    first, same, other = (draw_dataset(task, 100, 50, 60, seed) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
