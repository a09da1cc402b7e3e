"""Checks of what a method puts out, and of where its randomness comes from."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.conformance.method_case import EPISODES, SEED, MethodCase
from benchmark.conformance.randomness import global_seed, undisturbed
from benchmark.conformance.verdicts import Check, CheckFailedError, NotApplicableError, require
from envs.errors import MethodFailedError, UserError
from methods.base import make_method

PRECISIONS = (torch.float32, torch.float64)
SOLVERS = ("exact", "cvxpy")
UNKNOWN_SETTING = "no_such_setting"


def act_shape(case: MethodCase) -> str:
    """``act`` gives one row an observation and one column a coordinate, with and without exploration."""
    method, n = case.make(), case.task.constraint.dim
    for rows in (1, 7, len(case.obs)):
        for explore in (False, True):
            action = method.act(case.obs[:rows], explore)
            require(isinstance(action, Tensor), f"act returned {type(action).__name__}; return a torch tensor")
            found = tuple(action.shape)
            require(found == (rows, n), f"act of {rows} observations has shape {found}; return ({rows}, {n})")
    return f"n = {n}"


def act_dtype(case: MethodCase) -> str:
    """Actions are float32 or float64 and carry no gradient."""
    method = case.make()
    for explore in (False, True):
        action = method.act(case.obs, explore)
        require(action.dtype in PRECISIONS, f"act gives {action.dtype}; return float32 or float64")
        require(not action.requires_grad, "act gives actions with a gradient; decorate it with @torch.no_grad()")
    return str(action.dtype).removeprefix("torch.")


def act_pair_shape(case: MethodCase) -> str:
    """``act_pair`` gives the policy's output, or None, and the same with exploration, each as ``act`` does."""
    policy, behaviour = case.make().act_pair(case.obs[:1])
    expected = (1, case.task.constraint.dim)
    for name, action in (("policy", policy), ("behaviour", behaviour)):
        if action is None and name == "policy":
            continue
        right = isinstance(action, Tensor) and tuple(action.shape) == expected and action.dtype in PRECISIONS
        require(right, f"act_pair's {name} is no float tensor of shape {expected}; return what act returns")
    return ""


def actions_finite(case: MethodCase) -> str:
    """Actions stay finite, at real observations and while learning."""
    try:
        method = case.make()
        case.run(method, 0, EPISODES)
        finite = bool(method.act(case.obs, explore=False).isfinite().all())
    except MethodFailedError as error:
        raise CheckFailedError(f"{error}; look at the update before it") from error
    require(finite, "act gives NaN or infinity after some updates; look at the losses")
    return f"{EPISODES} episodes"


def losses_finite(case: MethodCase) -> str:
    """``update`` returns finite numbers, and what was learned is finite."""
    method = case.make()
    trace = case.run(method, 0, EPISODES)
    for number, losses in enumerate(trace.losses):
        for name, value in losses.items():
            require(isinstance(value, float | int), f"update returned '{name}' of {type(value).__name__}; use .item()")
            require(abs(value) < float("inf"), f"update {number} returned {name} = {value}; lower the learning rate")
    for name, entry in method.state_dict().items():
        finite = not entry.is_floating_point() or bool(entry.isfinite().all())
        require(finite, f"state_dict entry '{name}' holds NaN or infinity after some updates")
    updates = sum(1 for losses in trace.losses if losses)
    if not updates:
        raise NotApplicableError(f"update returned no losses in {len(trace.losses)} steps")
    return f"{updates} updates with losses"


def same_seed(case: MethodCase) -> str:
    """Two runs of one seed have the same actions, losses and rewards, to the bit."""
    same = case.reference.same_as(case.trace())
    require(same, "two runs of one seed differ; draw all randomness from torch.Generators made of the seed")
    return ""


def different_seeds(case: MethodCase) -> str:
    """Another seed gives other actions in the same episodes."""
    other = case.trace(SEED + 1)
    first = torch.cat([action.double() for action in case.reference.actions])
    second = torch.cat([action.double() for action in other.actions])
    same = first.shape == second.shape and torch.equal(first, second)
    require(not same, "runs of two seeds act the same; derive the generators from the seed that is passed in")
    return ""


def global_generators_untouched(case: MethodCase) -> str:
    """No global random generator is used: not in the constructor, nor in preparing, acting, observing, updating."""
    with undisturbed("the constructor or prepare()"):
        method = case.make_unprepared()
        method.prepare()
    with undisturbed("act, observe or update"):
        case.run(method, 0, EPISODES)
    return ""


def global_seeds_without_effect(case: MethodCase) -> str:
    """Results are the same whatever the global random generators were seeded with."""
    with global_seed(1):
        first = case.trace()
    with global_seed(2):
        second = case.trace()
    require(first.same_as(second), "results depend on the global random seeds; draw from torch.Generators of the seed")
    return ""


def inputs_unchanged(case: MethodCase) -> str:
    """The method writes neither into observations nor into transitions, at once or later."""
    method, obs = case.make(), case.obs.clone()
    method.act(obs, explore=True)
    require(torch.equal(obs, case.obs), "act wrote into the observations; work on a copy")
    trace = case.run(method, 0, EPISODES)
    changed = sum(not torch.equal(given, copy) for given, copy in trace.given)
    require(changed == 0, f"{changed} tensors of transitions were written into; work on a copy")
    return ""


def projection_solver_known(case: MethodCase) -> str:
    """``projection_solver`` names a way of repair that the harness knows."""
    solver = case.make().projection_solver
    require(solver in SOLVERS, f"projection_solver is '{solver}'; it is one of {', '.join(SOLVERS)}")
    return solver


def settings_refused(case: MethodCase) -> str:
    """A setting that the method does not have is refused."""
    try:
        make_method(case.method_id, case.task, {**case.settings, UNKNOWN_SETTING: 1})
    except UserError:
        return ""
    raise CheckFailedError("an unknown setting is accepted in silence; let Config inherit from MethodConfig as it is")


CHECKS: tuple[Check[MethodCase], ...] = (
    act_shape,
    act_dtype,
    act_pair_shape,
    actions_finite,
    losses_finite,
    same_seed,
    different_seeds,
    global_generators_untouched,
    global_seeds_without_effect,
    inputs_unchanged,
    projection_solver_known,
    settings_refused,
)
