"""Constraints' row-by-row answers under vmap and grad, against a loop of plain calls."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import grad, vmap

from methods.rowwise import rowwise
from tests.envs.constraints.conftest import CONVEX, Case

SEEDS, ROWS = 3, 10
NAMES = ("project", "gauge", "linear_oracle")


@pytest.fixture(params=CONVEX, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def questions(case: Case, name: str) -> tuple[Tensor, Tensor]:
    """Arguments for every seed, so many that their rows together go another way through the library than one seed's."""
    generator = torch.Generator().manual_seed(7)
    action, obs = case.action(SEEDS * ROWS, generator), case.obs(SEEDS * ROWS, generator)
    if name == "gauge" and case.constraint.free_dim < case.constraint.dim:
        action = action - action.mean(dim=1, keepdim=True)
    return action.unflatten(0, (SEEDS, ROWS)), obs.unflatten(0, (SEEDS, ROWS))


def assert_close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_vmap_agrees_with_a_loop(case: Case, name: str) -> None:
    function = getattr(case.constraint, name)
    action, obs = questions(case, name)
    assert_close(
        vmap(rowwise(function))(action, obs), torch.stack([function(a, o) for a, o in zip(action, obs, strict=True)])
    )
    one = torch.stack([function(a, obs[0]) for a in action])
    assert_close(vmap(rowwise(function), in_dims=(0, None))(action, obs[0]), one)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_under_vmap_agree_with_a_loop(case: Case, name: str) -> None:
    function = getattr(case.constraint, name)
    action, obs = questions(case, name)
    weight = torch.linspace(-1, 1, case.constraint.dim, dtype=torch.float64)

    def loss(answer: Tensor) -> Tensor:
        return (weight[0] * answer).sum() if answer.ndim == 1 else (weight * answer).sum()

    def gradients(action: Tensor, obs: Tensor) -> list[Tensor]:
        leaves = action.clone().requires_grad_(), obs.clone().requires_grad_()
        answer = function(*leaves)
        if not answer.requires_grad:
            return [torch.zeros_like(leaf) for leaf in leaves]
        return list(torch.autograd.grad(loss(answer), leaves, materialize_grads=True))

    expected = [torch.stack(parts) for parts in zip(*map(gradients, action, obs), strict=True)]
    wrapped = rowwise(function)
    by_function = grad(lambda action, obs: loss(wrapped(action, obs)), argnums=(0, 1))
    for found, wanted in zip(vmap(by_function)(action, obs), expected, strict=True):
        assert_close(found, wanted)
    for found, wanted in zip(by_function(action[0], obs[0]), expected, strict=True):
        assert_close(found, wanted[0])
    leaves = action.clone().requires_grad_(), obs.clone().requires_grad_()
    by_autograd = torch.autograd.grad(vmap(lambda a, o: loss(wrapped(a, o)))(*leaves).sum(), leaves)
    for found, wanted in zip(by_autograd, expected, strict=True):
        assert_close(found, wanted)


def test_the_gradient_is_that_of_the_arguments_that_it_is_asked_for() -> None:
    numbers = torch.arange(6.0).unflatten(0, (3, 2))
    product = rowwise(lambda a, b: a * b)
    assert torch.equal(grad(lambda b: product(numbers, b).sum())(2 * numbers), numbers)
    # Nothing that is asked for enters here, and a function may have no gradient at all.
    assert torch.equal(grad(lambda b: product(numbers, numbers).sum() + b.sum())(numbers), torch.ones_like(numbers))
    assert torch.equal(grad(lambda b: rowwise(torch.sign)(b).sum())(numbers), torch.zeros_like(numbers))
    with pytest.raises(NotImplementedError, match="second derivatives"):
        grad(lambda b: grad(lambda b: product(b, b).sum())(b).sum())(numbers)


def test_without_a_transformation_the_function_gets_the_very_tensors() -> None:
    given = torch.ones((2, 1), requires_grad=True)
    assert rowwise(lambda tensor: tensor)(given) is given
