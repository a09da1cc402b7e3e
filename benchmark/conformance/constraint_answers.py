"""Checks of what a constraint answers: projections, support points, interior points and samples."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.conformance.constraint_case import ROWS, SOLVED_ROWS, ConstraintCase
from benchmark.conformance.randomness import undisturbed
from benchmark.conformance.verdicts import Check, NotApplicableError, require
from envs.constraints.base import Constraint


def answers_shape(case: ConstraintCase) -> str:
    """``project``, ``linear_oracle``, ``interior`` and ``sample`` give (B, n) in the precision asked in, all finite."""
    constraint = case.constraint
    for dtype in (torch.float32, torch.float64):
        for rows in (1, 5):
            action, obs = case.actions[:rows].to(dtype), case.obs[:rows].to(dtype)
            answers = {
                "project": constraint.project(action, obs),
                "linear_oracle": constraint.linear_oracle(action, obs),
                "interior": case.interior(obs),
                "sample": constraint.sample(obs, case.generator("shape")),
            }
            for name, answer in answers.items():
                if answer is None:
                    continue
                found = f"{name} of {rows} rows in {dtype} is {tuple(answer.shape)}, {answer.dtype}"
                right = tuple(answer.shape) == (rows, case.dim) and answer.dtype == dtype
                require(right, f"{found}; return ({rows}, {case.dim}) in the precision asked in")
                require(bool(answer.isfinite().all()), f"{name} holds NaN or infinite entries")
    return ""


def arguments_unchanged(case: ConstraintCase) -> str:
    """No question writes into the tensors that it is asked with."""
    constraint = case.constraint
    questions = ("violation", "contains", "project", "linear_oracle")
    for name in questions:
        action, obs = case.actions.clone(), case.obs.clone()
        getattr(constraint, name)(action, obs)
        kept = torch.equal(action, case.actions) and torch.equal(obs, case.obs)
        require(kept, f"{name} wrote into its arguments; work on a copy")
    return ""


def projection_feasible(case: ConstraintCase) -> str:
    """Projections are feasible, up to a solver's error."""
    size = case.size(case.constraint.project(case.actions, case.obs), case.obs)
    worst = float(size.max())
    require(
        worst <= case.feasible_tol,
        f"a projection violates the constraint by {worst:.3g}, more than {case.feasible_tol:.3g}; project onto C(s)",
    )
    return f"largest violation {worst:.3g}, allowed {case.feasible_tol:.3g}"


def projection_idempotent(case: ConstraintCase) -> str:
    """A feasible action is its own projection, and so is a projection."""
    constraint = case.constraint
    once = constraint.project(case.actions, case.obs)
    sampled = constraint.sample(case.obs, case.generator("idempotent"))
    for what, action in (("projection", once), ("feasible action", sampled)):
        moved = float((constraint.project(action, case.obs) - action).norm(dim=1).max())
        require(moved <= case.error, f"projecting a {what} moves it by {moved:.3g}; leave feasible actions as they are")
    return ""


def projection_nearest(case: ConstraintCase) -> str:
    """No feasible point is nearer: neither cvxpy's answer, where the set is convex, nor any of many random ones."""
    answer = case.constraint.project(case.actions, case.obs)
    distance = (answer - case.actions).norm(dim=1)
    nearest = (case.rivals - case.actions[:, None]).norm(dim=2).min(dim=1).values
    excess = float((distance - nearest).max())
    advice = "return the nearest feasible point, or leave project() inherited"
    require(excess <= case.error, f"a random feasible point is nearer than the projection by {excess:.3g}; {advice}")
    if not case.constraint.convex:
        return f"against {case.rivals.shape[1]} random feasible points a row"
    rows = slice(0, SOLVED_ROWS)
    solved = Constraint.project_by_solver(case.constraint, case.actions[rows], case.obs[rows])
    excess = float((distance[rows] - (solved - case.actions[rows]).norm(dim=1)).max())
    require(excess <= case.error, f"cvxpy finds a feasible point that is nearer by {excess:.3g}; {advice}")
    return "against cvxpy and random feasible points"


def oracle_feasible(case: ConstraintCase) -> str:
    """Support points are feasible, up to a solver's error."""
    worst = float(case.size(case.constraint.linear_oracle(_gradients(case), case.obs), case.obs).max())
    require(
        worst <= case.feasible_tol,
        f"a support point violates the constraint by {worst:.3g}, more than {case.feasible_tol:.3g}; stay in C(s)",
    )
    return f"largest violation {worst:.3g}, allowed {case.feasible_tol:.3g}"


def oracle_optimal(case: ConstraintCase) -> str:
    """No feasible point lies further along the gradient: neither cvxpy's answer nor any of many random ones."""
    gradient = _gradients(case)
    value = (gradient * case.constraint.linear_oracle(gradient, case.obs)).sum(dim=1)
    best = (case.rivals * gradient[:, None]).sum(dim=2).max(dim=1).values
    advice = "return argmax over C(s) of <gradient, a>, or leave linear_oracle() inherited"
    short = float((best - value).max())
    require(short <= case.error, f"a random feasible point is better than the support point by {short:.3g}; {advice}")
    if not case.constraint.convex:
        return f"against {case.rivals.shape[1]} random feasible points a row"
    rows = slice(0, SOLVED_ROWS)
    solved = Constraint.linear_oracle(case.constraint, gradient[rows], case.obs[rows])
    short = float(((solved * gradient[rows]).sum(dim=1) - value[rows]).max())
    require(short <= case.error, f"cvxpy finds a feasible point that is better by {short:.3g}; {advice}")
    return "against cvxpy and random feasible points"


def interior_strict(case: ConstraintCase) -> str:
    """The interior point violates nothing, and touches nothing."""
    point = case.interior(case.obs)
    if point is None:
        raise NotApplicableError("the set has no interior, as interior() says")
    worst = float(case.constraint.violation(point, case.obs).max())
    require(worst < 0, f"interior() gives a point whose largest violation is {worst:.3g}; return one below 0")
    return f"largest violation {worst:.3g}"


def sample_feasible(case: ConstraintCase) -> str:
    """Sampled actions are feasible at tolerance 0."""
    action = case.constraint.sample(case.obs, case.generator("sample"))
    size = case.size(action, case.obs)
    missed = int((size > 0).sum())
    require(missed == 0, f"{missed} of {ROWS} samples are infeasible, by up to {float(size.max()):.3g}; reject those")
    return ""


def sample_seeded(case: ConstraintCase) -> str:
    """The generator decides the samples: the same again for its seed, others for another, and no global generator."""
    with undisturbed("sample()"):
        first, again, other = (
            case.constraint.sample(case.obs, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
        )
    require(
        torch.equal(first, again), "sample() differs for generators of the same seed; draw from the generator alone"
    )
    require(not torch.equal(first, other), "sample() is the same for generators of different seeds; draw from it")
    require(len(torch.unique(first, dim=0)) > 1, "sample() gives every row the same action; draw one a row")
    return ""


CHECKS: tuple[Check[ConstraintCase], ...] = (
    answers_shape,
    arguments_unchanged,
    projection_feasible,
    projection_idempotent,
    projection_nearest,
    oracle_feasible,
    oracle_optimal,
    interior_strict,
    sample_feasible,
    sample_seeded,
)


def _gradients(case: ConstraintCase) -> Tensor:
    """Directions (ROWS, n) of length 1."""
    drawn = torch.randn((ROWS, case.dim), generator=case.generator("gradients"), dtype=torch.float64)
    return torch.nn.functional.normalize(drawn)
