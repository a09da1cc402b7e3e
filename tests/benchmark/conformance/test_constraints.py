"""Constraints that do one thing wrong, on the power of Reacher's two joints, are caught by the check of that thing."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.conformance import test_constraints
from benchmark.conformance.probes import ConstraintProbe
from envs import make_task
from envs.constraints import WeightedL1
from tests.benchmark.conformance.checks import assert_caught, checks_of, fault

CHECKS = checks_of(test_constraints)


class Right(WeightedL1):
    """sum |w_i a_i| <= 0.3, exact."""

    def __init__(self) -> None:
        super().__init__(0.3, -np.ones(2), np.ones(2), (6, 7))


def zero_box(self: Right, action: Tensor, obs: Tensor) -> Tensor:
    return torch.cat([Right.violation(self, action, obs)[:, :1], torch.zeros_like(action)], dim=1)


def through_a_root(self: Right, action: Tensor, obs: Tensor) -> Tensor:
    own = (action * self.context(obs)).square().sqrt().sum(dim=1, keepdim=True) - 0.3
    return torch.cat([own, self.box_violation(action)], dim=1)


def never_bound(self: Right, action: Tensor, obs: Tensor) -> Tensor:
    return torch.cat([violation(self, action, obs)[:, :1] - 1e6, self.box_violation(action)], dim=1)


def along_a_ray(self: Right, action: Tensor, obs: Tensor) -> Tensor:
    return action / self.gauge(action, obs).clamp(min=1)[:, None]


def on_the_boundary(self: Right, obs: Tensor) -> Tensor:
    return self.linear_oracle(torch.ones((len(obs), 2), dtype=obs.dtype), obs)


def unseeded(self: Right, obs: Tensor, _: torch.Generator) -> Tensor:
    fresh = torch.Generator()
    fresh.seed()
    return Right.sample(self, obs, fresh)


def with_a_bad_gradient(name: str) -> Any:
    """A method of the right constraint whose answer has a NaN in its gradient."""
    method = getattr(Right, name)

    def call(self: Right, action: Tensor, obs: Tensor) -> Tensor:
        answer: Tensor = method(self, action, obs)
        # The branch that is not taken has an infinite slope.
        root = (action - action.detach()).sum(dim=1).sqrt()
        zero = torch.where(torch.ones_like(root, dtype=torch.bool), 0.0, root)
        return answer + (zero if answer.ndim == 1 else zero[:, None])

    return call


wrong = functools.partial(fault, Right)
violation, project, oracle, for_cvxpy = Right.violation, Right.project, Right.linear_oracle, Right.cvxpy_constraints
FAULTS = [
    # The set.
    wrong("test_shapes", "flat", violation=lambda self, a, s: violation(self, a, s).max(dim=1).values),
    wrong("test_shapes", "in double", violation=lambda self, a, s: violation(self, a, s).double()),
    wrong("test_shapes", "gauge in a column", gauge=lambda self, d, s: Right.gauge(self, d, s)[:, None]),
    wrong("test_violation_includes_box", "box of zeros", violation=zero_box),
    wrong("test_violation_gradient", "NaN", violation=through_a_root),
    wrong("test_violation_gradient", "none", violation=lambda self, a, s: violation(self, a.detach(), s.detach())),
    wrong("test_contains_agrees", "more", contains=lambda self, a, s, tol=0.0: Right.contains(self, a, s, tol + 1)),
    wrong("test_cvxpy_same_set", "larger", cvxpy_constraints=lambda self, x, s: for_cvxpy(self, x / 1.1, s)),
    wrong("test_rows_are_independent", "mixed", violation=lambda self, a, s: violation(self, a, s.flip(0))),
    wrong("test_rows_are_independent", "first", project=lambda self, a, s: project(self, a, s[:1].expand_as(s))),
    wrong("test_arguments_unchanged", "clamps", project=lambda self, a, s: project(self, a.clamp_(-1, 1), s)),
    wrong("test_some_action_is_infeasible", "never bound", violation=never_bound),
    # Answers.
    *(
        wrong(f"test_gradient_finite[{name}]", "NaN", **{name: with_a_bad_gradient(name)})
        for name in ("project", "linear_oracle", "gauge")
    ),
    wrong("test_answer_feasible[project]", "outside", project=lambda self, a, s: project(self, a, s) * 1.01),
    wrong("test_answer_feasible[linear_oracle]", "outside", linear_oracle=lambda *asked: oracle(*asked) * 1.1),
    wrong("test_answer_optimal[project]", "along a ray", project=along_a_ray),
    wrong("test_answer_optimal[linear_oracle]", "inside", linear_oracle=lambda *asked: oracle(*asked) * 0.9),
    wrong("test_projection_idempotent", "shrinks", project=lambda self, a, s: project(self, a, s) * 0.99),
    wrong("test_interior_strict", "boundary", interior=on_the_boundary),
    wrong("test_gauge_agrees", "too small", gauge=lambda self, d, s: Right.gauge(self, d, s) * 0.99),
    wrong("test_sample_feasible", "box", sample=lambda _, s, g: 2 * torch.rand((len(s), 2), generator=g).to(s) - 1),
    wrong("test_sample_seeded", "unseeded", sample=unseeded),
    wrong("test_sample_seeded", "global", sample=lambda self, s, _: Right.sample(self, s, torch.default_generator)),
    wrong("test_sample_seeded", "the same", sample=lambda self, s, g: Right.sample(self, s, g.manual_seed(0))),
]


def probe_of(constraint: Right) -> ConstraintProbe:
    return ConstraintProbe(dataclasses.replace(make_task("R+O03"), constraint=constraint))


@pytest.mark.parametrize(("cls", "check"), FAULTS)
def test_a_wrong_one_is_caught(cls: type[Right], check: str) -> None:
    assert_caught(CHECKS[check], probe_of(cls()))


def test_every_check_has_one_that_it_catches() -> None:
    assert {fault.values[1] for fault in FAULTS} == set(CHECKS)
