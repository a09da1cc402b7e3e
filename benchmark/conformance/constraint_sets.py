"""Checks of what a constraint says its set is: ``violation``, ``contains`` and ``cvxpy_constraints``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.conformance.constraint_case import SOLVED_ROWS, ConstraintCase
from benchmark.conformance.verdicts import Check, require
from benchmark.records.results import TOLERANCES

# How far along the way from an interior point to a far one the two descriptions are compared, 1 being the boundary.
STRETCHES = (0.5, 0.9, 1.1, 2.0)
RAYS = 16
# Batches of another size are summed in another order.
SAME = 1e-6
# Nearer than this to the boundary rounding decides.
DOUBT = 1e-5


def violation_shape(case: ConstraintCase) -> str:
    """``violation`` is (B, m), finite, of the action's precision, with the same m for one row as for many."""
    columns = set()
    for rows in (1, len(case.obs)):
        for dtype in (torch.float32, torch.float64):
            found = case.constraint.violation(case.actions[:rows].to(dtype), case.obs[:rows].to(dtype))
            shape = tuple(found.shape)
            require(len(shape) == 2 and shape[0] == rows, f"violation has shape {shape}; return ({rows}, m)")
            require(found.dtype == dtype, f"violation of {dtype} actions is {found.dtype}; keep the action's precision")
            require(bool(found.isfinite().all()), "violation holds NaN or infinite entries for finite actions")
            columns.add(shape[1])
    require(len(columns) == 1, f"violation has {sorted(columns)} columns, depending on the batch; keep their number")
    return f"m = {columns.pop()}"


def violation_includes_box(case: ConstraintCase) -> str:
    """The last n columns of ``violation`` are the signed distances to the sides of the action box."""
    found = case.constraint.violation(case.actions, case.obs)
    require(found.shape[1] >= case.dim, f"violation has {found.shape[1]} columns, fewer than the box's {case.dim}")
    lower, upper = case.box
    sides = torch.maximum(lower - case.actions, case.actions - upper)
    same = torch.allclose(found[:, -case.dim :], sides, rtol=1e-9, atol=1e-9 * case.side)
    require(same, "violation lacks the action box; append self.box_violation(action) as its last columns")
    return ""


def contains_agrees(case: ConstraintCase) -> str:
    """``contains`` is whether the summed positive violation is within the tolerance: larger ones hold more."""
    feasible = case.constraint.sample(case.obs, case.generator("contains"))
    actions, obs = torch.cat([case.actions, feasible]), torch.cat([case.obs, case.obs])
    size = case.size(actions, obs)
    before = torch.zeros(len(obs), dtype=torch.bool)
    for tol in TOLERANCES:
        held = case.constraint.contains(actions, obs, tol)
        require(tuple(held.shape) == (len(obs),) and held.dtype == torch.bool, "contains must return (B,) booleans")
        require(bool((held | ~before).all()), f"an action is feasible at a smaller tolerance than {tol:g}, not at it")
        clear = (size - tol).abs() > 1e-12 * case.side
        wrong = int((clear & (held != (size <= tol))).sum())
        require(
            wrong == 0, f"contains differs from summed violation <= {tol:g} for {wrong} actions; leave it inherited"
        )
        before = held
    return ""


def violation_gradient(case: ConstraintCase) -> str:
    """``violation`` is differentiable in the action, with finite gradients at 0, at the box's ends and elsewhere."""
    lower, upper = case.box
    ends = torch.stack([torch.zeros_like(lower), lower, upper, (lower + upper) / 2])
    actions = torch.cat([case.actions, ends]).requires_grad_()
    obs = torch.cat([case.obs, case.obs[: len(ends)]]).requires_grad_()
    found = case.constraint.violation(actions, obs)
    require(found.requires_grad, "violation has no gradient in the action; compute it with torch operations")
    gradients = torch.autograd.grad(found.sum(), (actions, obs), allow_unused=True)
    for name, gradient in zip(("action", "observation"), gradients, strict=True):
        finite = gradient is None or bool(gradient.isfinite().all())
        require(finite, f"violation's gradient in the {name} is NaN or infinite; avoid sqrt and division at 0")
    return ""


def cvxpy_same_set(case: ConstraintCase) -> str:
    """``cvxpy_constraints`` and ``violation`` call the same points feasible: near the boundary, inside and outside."""
    case.need_convex()
    compared = 0
    for row in range(SOLVED_ROWS):
        points = _points(case, row)
        obs = case.obs[row : row + 1].expand(len(points), -1)
        ours = case.size(points, obs).numpy()
        theirs = _residuals(case, points.numpy(), case.obs[row].numpy())
        clear = _is_clear(ours) & _is_clear(theirs)
        compared += int(clear.sum())
        for side, other, a, b in (("violation", "cvxpy", ours, theirs), ("cvxpy", "violation", theirs, ours)):
            wrong = clear & (a == 0) & (b > 0)
            point = points[int(wrong.argmax())].numpy().round(4).tolist()
            require(not wrong.any(), f"{point} is feasible for {side} and not for {other}; make both the same set")
    require(compared > 0, "no random point lies clearly inside or outside; scale the constraint to its actions")
    return f"{compared} points"


def rows_are_independent(case: ConstraintCase) -> str:
    """Permuting a batch permutes the answers, and a row alone is answered as in a batch: each by its own state."""
    order = torch.randperm(len(case.obs), generator=case.generator("order"))
    constraint = case.constraint
    for name, ask in (
        ("violation", constraint.violation),
        ("contains", lambda action, obs: constraint.contains(action, obs, case.feasible_tol)),
        ("project", constraint.project),
        ("linear_oracle", constraint.linear_oracle),
        ("interior", lambda action, obs: action if case.interior(obs) is None else constraint.interior(obs)),
    ):
        whole = ask(case.actions, case.obs).double()
        scale = SAME * max(1.0, float(whole.abs().max()))
        permuted = ask(case.actions[order], case.obs[order]).double()
        require(
            bool(((permuted - whole[order]).abs() <= scale).all()),
            f"{name} of a permuted batch is not the permuted answer; judge each row by its own observation",
        )
        for row in range(4):
            alone = ask(case.actions[row : row + 1], case.obs[row : row + 1]).double()
            require(
                bool(((alone - whole[row : row + 1]).abs() <= scale).all()),
                f"{name} of a row alone differs from the same row in a batch; judge each row by its own observation",
            )
    return ""


CHECKS: tuple[Check[ConstraintCase], ...] = (
    violation_shape,
    violation_includes_box,
    contains_agrees,
    violation_gradient,
    cvxpy_same_set,
    rows_are_independent,
)


def _points(case: ConstraintCase, row: int) -> Tensor:
    """Points (N, n) about the boundary of one row's set, and feasible ones: from a feasible point through another."""
    obs = case.obs[row : row + 1]
    # From an interior point all directions lead out; a set in a plane has none.
    inside = case.interior(obs) if case.constraint.free_dim == case.dim else None
    inside = case.rivals[row, :1] if inside is None else inside
    far = torch.cat([case.actions[:RAYS], case.rivals[row, :RAYS]])
    edge = case.constraint.project(far, obs.expand(len(far), -1))
    rays = [inside + stretch * (edge - inside) for stretch in STRETCHES]
    return torch.cat([*rays, far]).detach()


def _residuals(case: ConstraintCase, points: NDArray[np.float64], obs_row: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much each point (N, n) misses cvxpy's constraints: (N,)."""
    import cvxpy as cp

    x = cp.Variable(case.dim)
    constraints: list[Any] = case.constraint.cvxpy_constraints(x, obs_row)
    found = np.empty(len(points))
    for index, point in enumerate(points):
        x.value = point
        found[index] = sum(float(np.sum(constraint.violation())) for constraint in constraints)
    return np.where(found < DOUBT * 1e-6, 0.0, found)


def _is_clear(size: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((size == 0) | (size > DOUBT))
