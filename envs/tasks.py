"""Every task in one table. A new task is one more row.

Observation indices are those of Gymnasium's v5 environments: ``W`` are the velocities of the actuated joints, ``TH``
their angles, in the order of the actuators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.constraints import (
    Allocation,
    Ball,
    Box,
    Discs,
    Intersection,
    Power,
    Ring,
    SineSquares,
    TwoLegs,
    TwoLinkTip,
    WeightedL1,
)
from envs.constraints.base import Constraint
from envs.registry import TaskSpec, register_task

FLOWPG = "FlowPG, arXiv 2402.05149"
ACRL_BENCH = "ACRL-bench, arXiv 2304.08743"
NFWPO = "NFWPO, arXiv 2102.11055"
ARAM = "ARAM, arXiv 2503.12932"


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
ANT = Simulator(
    env_id="Ant-v5",
    entry_point="gymnasium.envs.mujoco.ant_v5:AntEnv",
    steps=1_000_000,
    max_episode_steps=1000,
    notes="Ant-v5 here, with 105 observations and contact forces among them; earlier versions in the papers.",
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


def row(
    task_id: str, simulator: Simulator, constraint: Constraint, source: str, version: int = 0, notes: str = ""
) -> TaskSpec:
    """A task from its simulator and its constraint, with ``notes`` beside the simulator's own."""
    return TaskSpec(
        id=task_id,
        version=version,
        env_id=simulator.env_id,
        entry_point=simulator.entry_point,
        constraint=constraint,
        steps=simulator.steps,
        max_episode_steps=simulator.max_episode_steps,
        source=source,
        notes=f"{simulator.notes} {notes}".rstrip(),
        env_kwargs=simulator.env_kwargs,
    )


def l1_and_sines(dim: int, w: tuple[int, ...], th: tuple[int, ...]) -> Intersection:
    """``sum |w_i a_i| <= 10`` and ``sum a_i^2 sin^2(th_i) <= 0.1``."""
    return Intersection(WeightedL1(10.0, *unit_box(dim), w), SineSquares(0.1, *unit_box(dim), th))


REACHER_COSINE = (1,)
REACHER_W = (6, 7)
HALF_CHEETAH_TH = tuple(range(2, 8))
HALF_CHEETAH_W = tuple(range(11, 17))
HOPPER_TH = tuple(range(2, 5))
HOPPER_W = tuple(range(8, 11))
WALKER_TH = tuple(range(2, 8))
WALKER_W = tuple(range(11, 17))

HERE = f"set here, after the claim of {FLOWPG}, that sets may be other than convex"
BOX_ALONE = f"set here, as R+N in {ACRL_BENCH}"
ENVIRONMENT_ALLOCATES = "Any point of the box is an action: the environment itself takes the nearest allocation."
NOT_CONVEX = (
    "What that means: ddpg-projection and ddpg-penalty repair by the exact nearest point, which jumps where two points "
    "are equally near. ddpg-projection-qp does not apply, since the set has no QP, nor does nfw: a step "
    "towards the support point, which is that of the convex hull, may leave the set. flowpg and flowpg-spline apply: "
    "they learn from samples alone. flowpg-gauge does not: there is no gauge, as the set is not star-shaped."
)

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
    # An ellipse that the elbow turns, a half-space, two constraints at once, a ball that the box cuts.
    row("R+T", REACHER, TwoLinkTip(0.05, *unit_box(2), REACHER_COSINE), ACRL_BENCH),
    row(
        "HC+MA",
        HALF_CHEETAH,
        TwoLegs(5.0, *unit_box(6), (*HALF_CHEETAH_TH, HALF_CHEETAH_W[0], HALF_CHEETAH_W[3])),
        ACRL_BENCH,
    ),
    row("H+O+S", HOPPER, l1_and_sines(3, HOPPER_W, HOPPER_TH), ACRL_BENCH),
    row("W+O+S", WALKER, l1_and_sines(6, WALKER_W, WALKER_TH), ACRL_BENCH),
    row("An+L2", ANT, Ball(2.0, *unit_box(8)), ARAM),
    # The environments with their action box alone: what a return without the constraint is taken from.
    row("HC+N", HALF_CHEETAH, Box(*unit_box(6)), BOX_ALONE),
    row("H+N", HOPPER, Box(*unit_box(3)), BOX_ALONE),
    row("W+N", WALKER, Box(*unit_box(6)), BOX_ALONE),
    row("An+N", ANT, Box(*unit_box(8)), BOX_ALONE),
    row("BSS-3+N", bike_sharing(3), Box(np.zeros(3), np.full(3, 35.0)), BOX_ALONE, notes=ENVIRONMENT_ALLOCATES),
    row("BSS-5+N", bike_sharing(5), Box(np.zeros(5), np.full(5, 35.0)), BOX_ALONE, notes=ENVIRONMENT_ALLOCATES),
    # Sets that are not convex: a ring, and two discs whose centres and sizes were chosen here.
    row(
        "R+Ring",
        REACHER,
        Ring(0.02, 0.05, *unit_box(2)),
        HERE,
        notes=f"The centre is projected to (0.02 ** 0.5, 0). {NOT_CONVEX}",
    ),
    row(
        "R+2D",
        REACHER,
        Discs([[0.5, 0.0], [-0.5, 0.0]], [0.05, 0.02], *unit_box(2)),
        HERE,
        notes=f"Of equally near discs the one at (0.5, 0), which is larger, is taken. {NOT_CONVEX}",
    ),
)

for spec in TASKS:
    register_task(spec)
