"""Every family of constraints: what it answers on fixed actions and observations.

Batches of 1 and 8 rows are answered through NumPy, larger ones and those that need a gradient through torch.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from envs import make_task
from envs.constraints.base import Constraint
from envs.seeding import make_generator
from tests.golden.numbers import Record, actions_and_observations, summary
from tests.golden.records import Golden

TASKS = (
    *("R+L2", "HC+O", "H+M", "BSS-3", "R+N", "R+T", "HC+MA", "H+O+S", "R+Ring", "R+2D"),
    *("Portfolio", "HC+R", "HC+O+R"),
)
# Above every family's switch from NumPy to torch.
LARGE = 520
DOUBLE, SINGLE = 1e-9, 3e-4


def goldens() -> dict[str, Golden]:
    """Three for each family: both precisions, and the support point of a single row."""
    made: dict[str, Golden] = {}
    for task in TASKS:
        made[f"families/float64/{task}"] = Golden(lambda t=task: answers(t, torch.float64), DOUBLE)
        made[f"families/float32/{task}"] = Golden(lambda t=task: answers(t, torch.float32), SINGLE)
        # How a single row is answered is free to change, within the rounding of its formulas.
        made[f"families/oracle of one row/{task}"] = Golden(lambda t=task: one_row(t), DOUBLE, bitwise=False)
    return made


def answers(task_id: str, dtype: torch.dtype) -> Record:
    """Everything that a constraint can be asked, at three batch sizes."""
    constraint = copy.deepcopy(make_task(task_id).constraint)
    found: Record = {}
    for rows in (1, 8, LARGE):
        action, obs = (part.to(dtype) for part in actions_and_observations(constraint, rows))
        given = _asked(constraint, action, obs)
        if rows == 1:
            del given["oracle"]
        whole = {f"{name}, {rows} rows": value for name, value in given.items()}
        found |= whole if rows < LARGE else {name: summary(value) for name, value in whole.items()}
    return found | _gradients(constraint, *(part.to(dtype) for part in actions_and_observations(constraint, 8)))


def _asked(constraint: Constraint, action: Tensor, obs: Tensor) -> dict[str, Tensor]:
    projected = constraint.project(action, obs)
    generator = make_generator(0, "golden", len(action))
    middle = torch.as_tensor((constraint.upper + constraint.lower) / 2).to(action)
    given = {
        "violation": constraint.violation(action, obs),
        "contains": constraint.contains(action, obs, 0.1).int(),
        "project": projected,
        "feasible": constraint.contains(projected, obs).int(),
        "repair": constraint.repair(action, obs),
        "oracle": constraint.linear_oracle(action - middle, obs),
        "interior": constraint.interior(obs),
        "sample": constraint.sample(obs, generator),
        "context": constraint.context(obs),
    }
    if constraint.convex:
        given["gauge"] = constraint.gauge(projected - given["interior"], obs)
    return given


def _gradients(constraint: Constraint, action: Tensor, obs: Tensor) -> dict[str, Any]:
    """Of a fixed linear function of the answers, by action and, for the gauge, by observation."""
    weights = torch.linspace(1, 2, action.numel(), dtype=action.dtype).view_as(action)
    action.requires_grad_()
    (of_project,) = torch.autograd.grad((weights * constraint.project(action, obs)).sum(), action)
    found = {"gradient of project": of_project}
    if constraint.convex:
        obs.requires_grad_()
        # In the plane of the set, where it has one.
        direction = constraint.from_free(constraint.to_free(action)) - constraint.interior(obs.detach()).detach()
        gauges = constraint.gauge(direction, obs)
        by = torch.autograd.grad((weights[:, 0] * gauges).sum(), (action, obs), allow_unused=True)
        found |= {f"gradient of gauge by {name}": part for name, part in zip(("action", "obs"), by, strict=True)}
    return {name: [] if value is None else value for name, value in found.items()}


def one_row(task_id: str) -> Record:
    """Support points in several directions, asked for one by one."""
    constraint = copy.deepcopy(make_task(task_id).constraint)
    action, obs = actions_and_observations(constraint, 8, seed=1)
    middle = torch.as_tensor((constraint.upper + constraint.lower) / 2)
    pairs = zip(torch.split(action - middle, 1), torch.split(obs, 1), strict=True)
    return {"oracle": torch.cat([constraint.linear_oracle(direction, at) for direction, at in pairs])}
