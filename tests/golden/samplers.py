"""Samplers of feasible actions, and the data sets that flows are trained on."""

from __future__ import annotations

import copy
from functools import partial

import torch

from envs import make_task
from envs.constraints import Allocation
from envs.sampling.dataset import draw_dataset
from envs.sampling.hmc import HMCConfig, sample_hmc
from envs.sampling.psdd import compile_allocation, compile_linear, sample_psdd
from envs.sampling.rejection import sample_rejection
from envs.sampling.samples import Samples
from envs.seeding import make_generator
from tests.golden import harness
from tests.golden.numbers import Record, actions_and_observations, summary
from tests.golden.records import Golden

TASKS = ("R+L2", "HC+O", "H+M", "BSS-3", "R+T", "HC+MA", "H+O+S", "R+Ring", "R+2D", "Portfolio", "HC+R", "HC+O+R")
ROWS = 40
# Which draw is accepted flips where rounding decides: sizes are small enough that none does.
TOLERANCE = 1e-9
# In single precision, after episodes of MuJoCo.
DATASET_TOLERANCE = 1e-5


def goldens() -> dict[str, Golden]:
    """Each sampler on each family it is for."""
    made: dict[str, Golden] = {"samplers/psdd/linear": Golden(linear, TOLERANCE)}
    for task in TASKS:
        made[f"samplers/rejection/{task}"] = Golden(partial(rejection, task), TOLERANCE)
        made[f"samplers/hmc/{task}"] = Golden(partial(hmc, task), TOLERANCE)
        made[f"samplers/dataset/{task}"] = Golden(partial(dataset, task), DATASET_TOLERANCE)
    for task in ("BSS-3", "BSS-5"):
        made[f"samplers/psdd/{task}"] = Golden(partial(psdd, task), TOLERANCE)
    return made


def rejection(task_id: str) -> Record:
    """From the action box and from the bounding box."""
    constraint = copy.deepcopy(make_task(task_id).constraint)
    _, obs = actions_and_observations(constraint, ROWS)
    generator = make_generator(0, "rejection")
    tight = _counted(sample_rejection(constraint, obs, generator, "bounding"))
    wide = _counted(sample_rejection(constraint, obs, generator))
    return {f"bounding box, {name}": value for name, value in tight.items()} | wide


def hmc(task_id: str) -> Record:
    """Chains with jumps from accepted points, and without from the interior."""
    constraint = copy.deepcopy(make_task(task_id).constraint)
    _, obs = actions_and_observations(constraint, 8)
    generator = make_generator(0, "hmc")
    found = _counted(sample_hmc(constraint, obs, generator, HMCConfig(draws=6, warmup=6, steps=3)))
    config = HMCConfig(draws=3, warmup=3, steps=3, jumps=False, start="interior")
    bare = _counted(sample_hmc(constraint, obs, generator, config))
    return found | {f"from the interior, {name}": value for name, value in bare.items()}


def psdd(task_id: str) -> Record:
    """Integer allocations."""
    constraint = make_task(task_id).constraint
    assert isinstance(constraint, Allocation)
    return _counted(sample_psdd(compile_allocation(constraint), ROWS, make_generator(0, "psdd")))


def linear() -> Record:
    """Integer points under two linear constraints."""
    diagram = compile_linear([[1, 2, -1], [1, 1, 1]], ["<=", ">="], [7, 4], [5, 4, 6])
    return _counted(sample_psdd(diagram, ROWS, make_generator(0, "psdd")))


def dataset(task_id: str) -> Record:
    """Training and test set, from rollouts of a few episodes."""
    drawn = draw_dataset(harness.short_task(task_id, 20), train=60, test=30, rollout_steps=45, seed=0)
    found: Record = {name: summary(value) for name, value in drawn.items()}
    return found | {f"{name}, first rows": value[:3] for name, value in drawn.items()}


def _counted(samples: Samples) -> Record:
    found = {name: value for name, value in vars(samples).items() if value is not None and name != "actions"}
    return found | {"actions": summary(samples.actions), "first rows": samples.actions[:: ROWS // 8].to(torch.float64)}
