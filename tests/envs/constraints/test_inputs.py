"""Every public method answers in kind: tensors or arrays, a batch or a single action."""

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import torch
from torch import Tensor

from envs.constraints import Ball
from envs.constraints.inputs import ARRAYS
from envs.errors import UserError

ROWS = 3
SOLVED = ("project_by_solver", "repair_by_solver")


def ask(case: Any, name: str, *arrays: Any) -> Any:
    others = [torch.Generator().manual_seed(0)] if name == "sample" else []
    return getattr(case.constraint, name)(*arrays, *others)


def questions(case: Any, name: str, generator: torch.Generator) -> list[Tensor]:
    """What the method is asked with, in batches of tensors."""
    obs = case.obs(ROWS, generator)
    if ARRAYS[name] == 1:
        return [obs]
    if name == "gauge":
        return [case.constraint.sample(obs, generator) - case.constraint.sample(obs, generator), obs]
    return [case.action(ROWS, generator), obs]


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.filterwarnings("ignore:Solution may be inaccurate")
def test_the_answer_is_of_the_kind_of_the_question(case: Any, name: str, dtype: torch.dtype, generator) -> None:
    if not case.constraint.convex and name in (*SOLVED, "gauge"):
        pytest.skip("the set is not convex")
    batch = [tensor.to(dtype) for tensor in questions(case, name, generator)]
    expected = ask(case, name, *batch)
    assert expected.dtype == (torch.bool if name in ("contains", "executable") else dtype)

    found = ask(case, name, *(tensor.numpy() for tensor in batch))
    assert isinstance(found, np.ndarray)
    assert found.dtype == expected.numpy().dtype
    np.testing.assert_array_equal(found, expected.numpy())

    alone = ask(case, name, *(tensor[:1] for tensor in batch))[0]
    single = ask(case, name, *(tensor[0] for tensor in batch))
    assert isinstance(single, Tensor)
    assert torch.equal(single, alone)
    found = ask(case, name, *(tensor[0].numpy() for tensor in batch))
    assert isinstance(found, np.ndarray | np.generic)
    np.testing.assert_array_equal(found, alone.numpy(), strict=True)


def test_cvxpy_constraints_take_a_row_of_either_kind(convex: Any, generator) -> None:
    x = cp.Variable(convex.constraint.dim)
    row = convex.obs(1, generator)[0]
    x.value = convex.action(1, generator)[0].numpy()
    found, expected = (
        [constraint.violation() for constraint in convex.constraint.cvxpy_constraints(x, one)]
        for one in (row, row.numpy())
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture
def disc() -> Ball:
    return Ball(0.25, [-1.0, -1.0], [1.0, 1.0])


def test_of_two_kinds_the_actions_counts(disc: Ball) -> None:
    tensor, array = disc.project(torch.ones(2), np.zeros(4)), disc.project(np.ones(2), torch.zeros(4))
    assert isinstance(tensor, Tensor)
    assert isinstance(array, np.ndarray)


def test_arguments_have_names(disc: Ball) -> None:
    action, obs = np.array([0.6, 0.0]), np.zeros(4)
    assert disc.contains(action=action, obs=obs, tol=0.2)
    assert not disc.contains(action, obs=obs)
    with pytest.raises(TypeError, match="missing a required argument: 'obs'"):
        disc.contains(action)  # type: ignore[call-arg]


def test_arrays_are_only_read_and_may_lie_in_memory_as_they_like(disc: Ball) -> None:
    action, obs = np.ones((3, 4))[::-1, ::2], np.zeros((3, 0))
    action.setflags(write=False)
    np.testing.assert_allclose(disc.project(action, obs), np.full((3, 2), 0.125**0.5))


def test_gradients_flow_through_single_actions(disc: Ball) -> None:
    action = torch.ones(2, requires_grad=True)
    disc.project(action, torch.zeros(4)).sum().backward()
    assert action.grad is not None


@pytest.mark.parametrize("action", [[1.0, 1.0], np.array([1, 1]), np.array(["a", "b"]), np.ones((1, 2)), 1.0])
def test_what_cannot_be_answered_is_refused(disc: Ball, action: Any) -> None:
    with pytest.raises(UserError, match=r"torch tensors or NumPy arrays|float32 or float64|expected"):
        disc.project(action, np.zeros(4))
