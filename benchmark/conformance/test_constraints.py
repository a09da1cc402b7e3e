"""Checks of the constraint, at observations from episodes with random feasible actions.

Answers may be off by 1e-4 of the action box's longest side, as those of solvers are by default.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.conformance.probes import ROWS, ConstraintProbe, Question, disturbed, rollout
from benchmark.records.results import TOLERANCES
from envs.constraints.base import Constraint

# Assertions are more exact than the warnings of solvers.
pytestmark = pytest.mark.filterwarnings("ignore")

PRECISIONS = (torch.float32, torch.float64)
# Few, as a solver takes milliseconds per row.
SOLVED = slice(0, 8)
# Where two descriptions are compared on the way from an interior point outwards; 1 is the boundary.
STRETCHES = (0.5, 0.9, 1.1, 2.0)
RAYS = 8
# Rounding: batches of another size are summed in another order.
SAME = 1e-6
# Closer than this to the boundary, rounding decides.
DOUBT = 1e-5


@pytest.mark.gate
def test_shapes(probe: ConstraintProbe) -> None:
    """Every answer has one row per action, is finite, and keeps the precision of its input."""
    # First what sampling needs, and so the probe's observations.
    start = torch.as_tensor(rollout(probe.task, 0, steps=0).observations)
    first = tuple(probe.constraint.violation(probe.actions[:2], start.expand(2, -1)).shape)
    assert len(first) == 2, f"violation of 2 rows has shape {first}; return (2, m)"
    columns = first[1]
    own: dict[str, tuple[int, ...]] = {"violation": (columns,), "contains": (), "gauge": ()}
    for name, ask in probe.questions.items():
        for rows, dtype in itertools.product((1, 5), PRECISIONS):
            answer = ask(probe.actions[:rows].to(dtype), probe.obs[:rows].to(dtype))
            found = tuple(answer.shape), answer.dtype
            right = (rows, *own.get(name, (probe.dim,))), torch.bool if name == "contains" else dtype
            assert found == right, f"{name} of {rows} rows in {dtype} is {found}; return {right}"
            assert answer.isfinite().all(), f"{name} holds NaN or infinite entries for finite actions"


def test_violation_includes_box(probe: ConstraintProbe) -> None:
    """The last n columns of ``violation`` are the signed distances to the sides of the action box."""
    found, (lower, upper) = probe.constraint.violation(probe.actions, probe.obs), probe.box
    sides = torch.maximum(lower - probe.actions, probe.actions - upper)
    last = found[:, -probe.dim :]
    same = last.shape == sides.shape and torch.allclose(last, sides, rtol=1e-9, atol=1e-9 * probe.side)
    assert same, "violation lacks the action box; append self.box_violation(action) as its last columns"


def test_violation_gradient(probe: ConstraintProbe) -> None:
    """``violation`` has finite gradients in the action everywhere, also at 0 and at the ends of the box."""
    lower, upper = probe.box
    ends = torch.stack([torch.zeros_like(lower), lower, upper, (lower + upper) / 2])
    actions = torch.cat([probe.actions, ends]).requires_grad_()
    obs = torch.cat([probe.obs, probe.obs[: len(ends)]]).requires_grad_()
    found = probe.constraint.violation(actions, obs)
    assert found.requires_grad, "violation has no gradient in the action; compute it with torch operations"
    gradients = torch.autograd.grad(found.sum(), (actions, obs), allow_unused=True)
    for name, gradient in zip(("action", "observation"), gradients, strict=True):
        finite = gradient is None or bool(gradient.isfinite().all())
        assert finite, f"violation's gradient in the {name} is NaN or infinite; avoid sqrt and division at 0"


@pytest.mark.parametrize("question", ["project", "linear_oracle", "gauge"])
def test_gradient_finite(probe: ConstraintProbe, question: str) -> None:
    """Where an answer has a gradient in the action, it is finite, in both precisions."""
    if question not in probe.questions:
        pytest.skip("the set is not convex or has no interior, and so no gauge")
    for dtype in PRECISIONS:
        actions = torch.cat([probe.actions, probe.samples[:, 0]]).to(dtype).requires_grad_()
        answer = probe.questions[question](actions, torch.cat([probe.obs, probe.obs]).to(dtype))
        if not answer.requires_grad:
            pytest.skip(f"{question} has no gradient")
        (gradient,) = torch.autograd.grad(answer.sum(), actions)
        wrong = int((~gradient.isfinite()).any(dim=1).sum())
        assert wrong == 0, f"{question}'s gradient is NaN or infinite for {wrong} actions; avoid sqrt and division at 0"


def test_some_action_is_infeasible(probe: ConstraintProbe) -> None:
    """Some action of the box is infeasible; otherwise the checks below say little."""
    actions = probe.actions.clamp(*probe.box)
    if probe.constraint.violation(actions, probe.obs).shape[1] == probe.dim:
        pytest.skip("there is no constraint but the action box")
    bound = not bool(probe.constraint.contains(actions, probe.obs).all())
    assert bound, "no action of the box is infeasible at any probed state; scale the constraint to its actions"


def test_contains_agrees(probe: ConstraintProbe) -> None:
    """``contains`` is true where the summed positive violation is at most the tolerance."""
    actions, obs = torch.cat([probe.actions, probe.samples[:, 0]]), torch.cat([probe.obs, probe.obs])
    size = probe.size(actions, obs)
    for tol in TOLERANCES:
        clear = (size - tol).abs() > 1e-12 * probe.side
        wrong = int((clear & (probe.constraint.contains(actions, obs, tol) != (size <= tol))).sum())
        assert wrong == 0, (
            f"contains differs from summed violation <= {tol:g} for {wrong} actions; use the inherited one"
        )


def test_cvxpy_same_set(probe: ConstraintProbe) -> None:
    """``cvxpy_constraints`` and ``violation`` agree on points inside, outside and near the boundary."""
    if not probe.constraint.convex:
        pytest.skip("the set is not convex, so no solver describes it")
    compared = 0
    for row in range(SOLVED.stop):
        points = _points(probe, row)
        ours = probe.size(points, probe.obs[row : row + 1].expand(len(points), -1)).numpy()
        theirs = _residuals(probe, points.numpy(), probe.obs[row].numpy())
        clear = _is_clear(ours) & _is_clear(theirs)
        compared += int(clear.sum())
        for side, other, a, b in (("violation", "cvxpy", ours, theirs), ("cvxpy", "violation", theirs, ours)):
            wrong = clear & (a == 0) & (b > 0)
            point = points[int(wrong.argmax())].numpy().round(4).tolist()
            assert not wrong.any(), f"{point} is feasible for {side} and not for {other}; make both the same set"
    assert compared > 0, "no random point lies clearly inside or outside; scale the constraint to its actions"


def test_rows_are_independent(probe: ConstraintProbe) -> None:
    """Each row of an answer depends on that row's action and observation alone."""
    order = torch.randperm(ROWS, generator=probe.generator("order"))
    advice = "judge each row by its own observation"
    for name, ask in probe.questions.items():
        if name == "sample":
            continue
        whole = ask(probe.actions, probe.obs).double()
        scale = SAME * max(1.0, float(whole.abs().max()))
        apart = (ask(probe.actions[order], probe.obs[order]).double() - whole[order]).abs().max()
        assert apart <= scale, f"{name} of a permuted batch differs from the permuted answer; {advice}"
        for row in range(4):
            alone = ask(probe.actions[row : row + 1], probe.obs[row : row + 1]).double()
            apart = (alone - whole[row : row + 1]).abs().max()
            assert apart <= scale, f"{name} of a single row differs from the same row in a batch; {advice}"


def test_arguments_unchanged(probe: ConstraintProbe) -> None:
    """No call writes to its arguments."""
    for name, ask in probe.questions.items():
        action, obs = probe.actions.clone(), probe.obs.clone()
        ask(action, obs)
        kept = torch.equal(action, probe.actions) and torch.equal(obs, probe.obs)
        assert kept, f"{name} modified its arguments; work on a copy"


# The input of each, and the objective that it minimises.
SOLUTIONS: dict[str, tuple[str, Question]] = {
    "project": ("actions", lambda action, point: (action - point).square().sum(dim=-1).sqrt()),
    "linear_oracle": ("directions", lambda gradient, point: -(gradient * point).sum(dim=-1)),
}


@pytest.mark.parametrize("question", SOLUTIONS)
def test_answer_feasible(probe: ConstraintProbe, question: str) -> None:
    """Projections and answers of the linear oracle are feasible, up to solver error."""
    answer = getattr(probe.constraint, question)(getattr(probe, SOLUTIONS[question][0]), probe.obs)
    worst = float(probe.size(answer, probe.obs).max())
    allowed = f"more than {probe.tolerance:.3g}"
    assert worst <= probe.tolerance, (
        f"{question} returned an action that violates C(s) by {worst:.3g}, {allowed}; stay in C(s)"
    )


@pytest.mark.parametrize("question", SOLUTIONS)
def test_answer_optimal(probe: ConstraintProbe, question: str) -> None:
    """No random feasible point and, on convex sets, no cvxpy solution beats the projection or the linear oracle."""
    name, objective = SOLUTIONS[question]
    asked = getattr(probe, name)
    value = objective(asked, getattr(probe.constraint, question)(asked, probe.obs))
    rivals = {"a random feasible point": objective(asked[:, None], probe.rivals).min(dim=1).values}
    if probe.constraint.convex:
        solved = getattr(Constraint, question)(probe.constraint, asked[SOLVED], probe.obs[SOLVED])
        rivals["cvxpy's answer"] = objective(asked[SOLVED], solved)
    for rival, best in rivals.items():
        short = float((value[: len(best)] - best).max())
        assert short <= probe.error, f"{rival} beats {question} by {short:.3g}; fix it or use the inherited one"


def test_projection_idempotent(probe: ConstraintProbe) -> None:
    """Projection leaves feasible actions and its own answers where they are."""
    once = probe.constraint.project(probe.actions, probe.obs)
    for what, action in (("projection", once), ("feasible action", probe.samples[:, 0])):
        moved = float((probe.constraint.project(action, probe.obs) - action).norm(dim=1).max())
        assert moved <= probe.error, f"projecting a {what} moves it by {moved:.3g}; leave feasible actions as they are"


def test_interior_strict(probe: ConstraintProbe) -> None:
    """``interior`` is strictly feasible; if it finds no such point, samples do not show that there is one."""
    if probe.centre is None:
        strict = [(probe.constraint.violation(row, probe.obs) < 0).all(dim=1) for row in probe.samples.unbind(dim=1)]
        disproved = bool(torch.stack(strict).any(dim=0).all())
        assert not disproved, "interior() finds no strictly feasible action but sample() does; use the inherited one"
        pytest.skip("the set has no interior, as interior() says")
    worst = float(probe.constraint.violation(probe.centre, probe.obs).max())
    assert worst < 0, f"interior() returned a point whose largest violation is {worst:.3g}; return one below 0"


def test_gauge_agrees(probe: ConstraintProbe) -> None:
    """``gauge`` finds the boundary: points just inside are feasible, points just outside are not."""
    if probe.centre is None or not probe.constraint.convex:
        pytest.skip("the set is not convex or has no interior, and so no gauge")
    # A difference of two feasible points lies in the plane of an equality.
    direction = probe.samples[:, 1] - probe.samples[:, 0]
    edge = direction / probe.constraint.gauge(direction, probe.obs)[:, None]
    for stretch, where in ((1 - SAME, "before"), (1 + SAME, "after")):
        held = probe.constraint.contains(probe.centre + stretch * edge, probe.obs)
        wrong = int((held != (where == "before")).sum())
        assert wrong == 0, (
            f"{wrong} points just {where} the gauge's boundary are on the wrong side; use the inherited gauge()"
        )


def test_sample_feasible(probe: ConstraintProbe) -> None:
    """Samples are feasible at tolerance 0."""
    size = probe.size(probe.samples[:, 0], probe.obs)
    missed = int((size > 0).sum())
    assert missed == 0, f"{missed} of {ROWS} samples are infeasible, by up to {float(size.max()):.3g}; reject those"


def test_sample_seeded(probe: ConstraintProbe) -> None:
    """Samples depend on the given generator alone, and differ between its seeds."""
    with disturbed() as used:
        first, again, other = (
            probe.constraint.sample(probe.obs, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
    assert not used, f"sample() used the global generator of {', '.join(used)}; draw from the one that is passed in"
    assert torch.equal(first, again), "sample() differs for generators with the same seed; use only the generator"
    assert not torch.equal(first, other), (
        "sample() is the same for generators with different seeds; draw from the generator"
    )
    assert len(torch.unique(first, dim=0)) > 1, "sample() returns the same action for every row; draw one per row"


def _points(probe: ConstraintProbe, row: int) -> Tensor:
    """Points (N, n) on both sides of the boundary of one row's set, on rays from a feasible point."""
    # All directions lead out from an interior point; a set in a plane has no such point.
    centre = probe.centre if probe.constraint.free_dim == probe.dim else None
    inside = (probe.rivals[:, 0] if centre is None else centre)[row : row + 1]
    far = torch.cat([probe.actions[:RAYS], probe.rivals[row, :RAYS]])
    edge = probe.constraint.project(far, probe.obs[row : row + 1].expand(len(far), -1))
    return torch.cat([*(inside + stretch * (edge - inside) for stretch in STRETCHES), far]).detach()


def _residuals(
    probe: ConstraintProbe, points: NDArray[np.float64], obs_row: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Summed violation of cvxpy's constraints by each point (N, n): (N,)."""
    import cvxpy as cp

    x = cp.Variable(probe.dim)
    constraints: list[Any] = probe.constraint.cvxpy_constraints(x, obs_row)
    found = np.empty(len(points))
    for index, point in enumerate(points):
        x.value = point
        found[index] = sum(float(np.sum(constraint.violation())) for constraint in constraints)
    return np.where(found < DOUBT * 1e-6, 0.0, found)


def _is_clear(size: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray((size == 0) | (size > DOUBT))
