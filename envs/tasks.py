"""Every task in one table. A new task is one more row.

Observation indices are those of Gymnasium's v5 environments: ``w`` are the velocities of the actuated joints, in the
order of the actuators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.constraints import Allocation, Ball, Box, Power, WeightedL1
from envs.constraints.base import Constraint
from envs.registry import TaskSpec, register_task

FLOWPG = "FlowPG, arXiv 2402.05149"
ACRL_BENCH = "ACRL-bench, arXiv 2304.08743"
NFWPO = "NFWPO, arXiv 2102.11055"


@dataclass(frozen=True)
class Simulator:
    """What tasks share that run in the same environment; the attributes mean the same as in ``TaskSpec``."""

    env_id: str
    entry_point: str
    steps: int
    max_episode_steps: int
    notes: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)


REACHER = Simulator(
    env_id="Reacher-v5",
    entry_point="gymnasium.envs.mujoco.reacher_v5:ReacherEnv",
    steps=300_000,
    max_episode_steps=50,
    notes=(
        "Reacher-v5 here: 10 observations, 50 steps, velocities unscaled. ReacherPyBulletEnv-v0 in ACRL-bench (9 "
        "observations, 150 steps, velocities scaled by 0.1), Reacher-v2 in FlowPG, a class of its own in ARAM."
    ),
)
HALF_CHEETAH = Simulator(
    env_id="HalfCheetah-v5",
    entry_point="gymnasium.envs.mujoco.half_cheetah_v5:HalfCheetahEnv",
    steps=1_000_000,
    max_episode_steps=1000,
    notes="HalfCheetah-v5 here, -v2 or -v3 (mujoco-py) in the papers.",
)
HOPPER = Simulator(
    env_id="Hopper-v5",
    entry_point="gymnasium.envs.mujoco.hopper_v5:HopperEnv",
    steps=1_000_000,
    max_episode_steps=1000,
    notes=(
        "Hopper-v5 here, -v2 or -v3 (mujoco-py) in the papers. Velocities are observed clipped to [-10, 10], and the "
        "constraint is on those observed."
    ),
)
WALKER = Simulator(
    env_id="Walker2d-v5",
    entry_point="gymnasium.envs.mujoco.walker2d_v5:Walker2dEnv",
    steps=1_000_000,
    max_episode_steps=1000,
    notes=(
        "Walker2d-v5 here, -v2 or -v3 (mujoco-py) in the papers. Velocities are observed clipped to [-10, 10], and the "
        "constraint is on those observed."
    ),
)


def bike_sharing(zones: int) -> Simulator:
    """The bike-sharing environment of this many zones."""
    return Simulator(
        env_id="BikeSharing",
        entry_point="envs.bike_sharing:BikeSharingEnv",
        steps=1_000_000,
        max_episode_steps=100,
        notes=(
            "An independent implementation: its docstring says what the papers leave open and what was chosen. Every "
            "executed action is an integer allocation. NFWPO trains for 500,000 steps."
        ),
        env_kwargs={"zones": zones},
    )


def unit_box(dim: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of [-1, 1]^dim, the action box of every MuJoCo environment here."""
    return -np.ones(dim), np.ones(dim)


def row(task_id: str, simulator: Simulator, constraint: Constraint, source: str, version: int = 0) -> TaskSpec:
    """A task from its simulator and its constraint."""
    return TaskSpec(
        id=task_id,
        version=version,
        env_id=simulator.env_id,
        entry_point=simulator.entry_point,
        constraint=constraint,
        steps=simulator.steps,
        max_episode_steps=simulator.max_episode_steps,
        source=source,
        notes=simulator.notes,
        env_kwargs=simulator.env_kwargs,
    )


REACHER_W = (6, 7)
HALF_CHEETAH_W = tuple(range(11, 17))
HOPPER_W = tuple(range(8, 11))
WALKER_W = tuple(range(11, 17))

TASKS = (
    # FlowPG's six: circle, sum |w_i a_i|, sum max(w_i a_i, 0) twice, integer allocations twice.
    row("R+L2", REACHER, Ball(0.05, *unit_box(2)), f"{FLOWPG}; {ACRL_BENCH}"),
    row("HC+O", HALF_CHEETAH, WeightedL1(20.0, *unit_box(6), HALF_CHEETAH_W), f"{FLOWPG}; {ACRL_BENCH}"),
    row("H+M", HOPPER, Power(10.0, *unit_box(3), HOPPER_W), f"{FLOWPG}; {ACRL_BENCH}"),
    row("W+M", WALKER, Power(10.0, *unit_box(6), WALKER_W), f"{FLOWPG}; {ACRL_BENCH}"),
    row("BSS-3", bike_sharing(3), Allocation(90, np.zeros(3), np.full(3, 35.0)), f"{FLOWPG}; {NFWPO}"),
    row("BSS-5", bike_sharing(5), Allocation(150, np.zeros(5), np.full(5, 35.0)), f"{FLOWPG}; {NFWPO}"),
    # The same arm without a constraint, and with others on the power of its joints.
    row("R+N", REACHER, Box(*unit_box(2)), ACRL_BENCH),
    row("R+O03", REACHER, WeightedL1(0.3, *unit_box(2), REACHER_W), ACRL_BENCH),
    row("R+O10", REACHER, WeightedL1(1.0, *unit_box(2), REACHER_W), ACRL_BENCH),
    row("R+O30", REACHER, WeightedL1(3.0, *unit_box(2), REACHER_W), ACRL_BENCH),
    row("R+M", REACHER, Power(1.0, *unit_box(2), REACHER_W), ACRL_BENCH),
)

for spec in TASKS:
    register_task(spec)
