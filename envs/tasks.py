"""Every task in one table. A new task is one more row.

Observation indices are those of Gymnasium's v5 environments: ``W`` are the velocities of the actuated joints and ``TH``
their angles, in the order of the actuators.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import gymnasium

from envs.registry import TaskSpec, TaskSummary, register_lazily

if TYPE_CHECKING:
    from envs.constraints.base import Constraint

Box = tuple[list[float], list[float]]

FLOWPG = "FlowPG, arXiv 2402.05149"
ACRL_BENCH = "ACRL-bench, arXiv 2304.08743"
NFWPO = "NFWPO, arXiv 2102.11055"
ARAM = "ARAM, arXiv 2503.12932"
CAOSD = "as in CAOSD, arXiv 2404.10683, with numbers set here"
FLOWPG_AND_ACRL = f"{FLOWPG}; {ACRL_BENCH}"
CLIPPED = "Observed velocities are clipped to [-10, 10], and the constraint uses the clipped ones."


@dataclass(frozen=True)
class Simulator:
    """Properties shared by tasks in the same environment; attributes as in ``TaskSpec``."""

    env_id: str
    entry_point: str
    steps: int
    max_episode_steps: int
    notes: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    idle: tuple[int, ...] = ()


def mujoco(env_id: str, steps: int, notes: str) -> Simulator:
    """An environment of Gymnasium, with its registered settings."""
    known = gymnasium.spec(env_id)
    assert isinstance(known.entry_point, str)
    assert known.max_episode_steps is not None
    return Simulator(env_id, known.entry_point, steps, known.max_episode_steps, notes, known.kwargs)


REACHER = mujoco(
    "Reacher-v5",
    300_000,
    "Reacher-v5 here: 10 observations, 50 steps, velocities unscaled. ReacherPyBulletEnv-v0 in ACRL-bench (9 "
    "observations, 150 steps, velocities scaled by 0.1), Reacher-v2 in FlowPG, a class of its own in ARAM.",
)
HALF_CHEETAH = mujoco("HalfCheetah-v5", 1_000_000, "HalfCheetah-v5 here, -v2 or -v3 (mujoco-py) in the papers.")
HOPPER = mujoco("Hopper-v5", 1_000_000, f"Hopper-v5 here, -v2 or -v3 (mujoco-py) in the papers. {CLIPPED}")
WALKER = mujoco("Walker2d-v5", 1_000_000, f"Walker2d-v5 here, -v2 or -v3 (mujoco-py) in the papers. {CLIPPED}")
ANT = mujoco(
    "Ant-v5",
    1_000_000,
    "Ant-v5 here, with 105 observations and contact forces among them; earlier versions in the papers.",
)


def bike_sharing(zones: int) -> Simulator:
    """The bike-sharing environment of this many zones."""
    return Simulator(
        env_id="BikeSharing",
        entry_point="envs.bike_sharing:BikeSharingEnv",
        steps=1_000_000,
        max_episode_steps=100,
        notes=(
            "An independent implementation: its docstring lists the choices that the papers leave open. Every executed "
            "action is an integer allocation. NFWPO trains for 500,000 steps."
        ),
        env_kwargs={"zones": zones},
        # In the observation, the current allocation follows last step's demand.
        idle=tuple(range(zones, 2 * zones)),
    )


HALF_CHEETAH_BEFORE = replace(
    HALF_CHEETAH,
    entry_point="envs.previous_action:make_env",
    env_kwargs={"env_id": HALF_CHEETAH.env_id},
    notes=f"{HALF_CHEETAH.notes} The previous action is appended to the observation, with zeros after a reset.",
)
PORTFOLIO = Simulator(
    env_id="Portfolio",
    entry_point="envs.portfolio:PortfolioEnv",
    steps=300_000,
    max_episode_steps=100,
    notes="Our own simulator; the paper uses prices of the Nasdaq-100.",
    # The current weights.
    idle=tuple(range(8)),
)


@dataclass(frozen=True)
class Family:
    """A constraint of ``envs.constraints``, which is only imported when it is made.

    Attributes:
        name: Name of its class.
        dim: Action dimension n.
        arguments: Arguments of the constructor; constraints among them are made first.
    """

    name: str
    dim: int
    arguments: tuple[object, ...]

    def __call__(self) -> Constraint:
        """Make it."""
        arguments = [part() if isinstance(part, Family) else part for part in self.arguments]
        made: Constraint = getattr(importlib.import_module("envs.constraints"), self.name)(*arguments)
        return made


def unit(dim: int) -> Box:
    """[-1, 1]^dim, the action box of every MuJoCo environment here."""
    return [-1.0] * dim, [1.0] * dim


def docks(zones: int) -> Box:
    """From 0 to 35 bikes in each zone."""
    return [0.0] * zones, [35.0] * zones


def weights(assets: int) -> Box:
    """From none to all of the wealth in each asset."""
    return [0.0] * assets, [1.0] * assets


def constraint(name: str, *parameters: object, box: Box, context: tuple[int, ...] = ()) -> Family:
    """A family with its parameters, its action box, and the observation indices that it reads, if any."""
    return Family(name, len(box[0]), (*parameters, *box, *([context] if context else [])))


def l1_and_sines(dim: int, w: tuple[int, ...], th: tuple[int, ...]) -> Family:
    """``sum |w_i a_i| <= 10`` and ``sum a_i^2 sin^2(th_i) <= 0.1``."""
    first = constraint("WeightedL1", 10.0, box=unit(dim), context=w)
    return Family("Intersection", dim, (first, constraint("SineSquares", 0.1, box=unit(dim), context=th)))


def l1_and_rate(dim: int, w: tuple[int, ...], before: tuple[int, ...]) -> Family:
    """``sum |w_i a_i| <= 20`` and ``|a_i - p_i| <= 0.2``."""
    first = constraint("WeightedL1", 20.0, box=unit(dim), context=w)
    return Family("RateLimitedL1", dim, (first, constraint("RateLimit", 0.2, box=unit(dim), context=before)))


REACHER_COSINE = (1,)
REACHER_W = (6, 7)
HALF_CHEETAH_TH = tuple(range(2, 8))
HALF_CHEETAH_W = tuple(range(11, 17))
HALF_CHEETAH_LEGS = (*HALF_CHEETAH_TH, HALF_CHEETAH_W[0], HALF_CHEETAH_W[3])
HALF_CHEETAH_P = tuple(range(17, 23))
HOPPER_TH = tuple(range(2, 5))
HOPPER_W = tuple(range(8, 11))
WALKER_TH = tuple(range(2, 8))
WALKER_W = tuple(range(11, 17))
# The actuators of Ant start with the joints of the fourth leg.
ANT_W = (25, 26, *range(19, 25))
# Equities, bonds and commodities; cash belongs to none.
GROUPS = [[0, 1, 2], [3, 4], [5, 6]]

HERE = f"set here, after the claim of {FLOWPG}, that sets may be other than convex"
AS_POWER = f"set here, as H+M in {ACRL_BENCH}"
RATE_LIMITED = f"set here; with the budget of HC+O in {ACRL_BENCH}, or alone"
BOX_ALONE = f"set here, as R+N in {ACRL_BENCH}"
ENVIRONMENT_ALLOCATES = "Any point of the box is an action; the environment executes the nearest allocation."
NOT_CONVEX = (
    "ddpg-projection and ddpg-penalty repair by the exact nearest point, which jumps where two points are equally "
    "near. ddpg-projection-qp does not apply, because the set has no QP, nor does nfw, because a step towards the "
    "support point of the convex hull may leave the set. flowpg and flowpg-spline apply, because they only learn from "
    "samples. flowpg-gauge does not apply, because a set that is not star-shaped has no gauge."
)


@dataclass(frozen=True)
class Row:
    """One task; attributes as in ``TaskSpec``, with ``notes`` in addition to the simulator's."""

    id: str
    simulator: Simulator
    constraint: Family
    source: str
    version: int = 0
    notes: str = ""

    def make(self) -> TaskSpec:
        """The task."""
        shared = vars(self.simulator) | {"notes": f"{self.simulator.notes} {self.notes}".rstrip()}
        return TaskSpec(id=self.id, version=self.version, constraint=self.constraint(), source=self.source, **shared)


TASKS: tuple[Row, ...] = (
    # FlowPG's six: circle, sum |w_i a_i|, sum max(w_i a_i, 0) twice, integer allocations twice.
    Row("R+L2", REACHER, constraint("Ball", 0.05, box=unit(2)), FLOWPG_AND_ACRL),
    Row("HC+O", HALF_CHEETAH, constraint("WeightedL1", 20.0, box=unit(6), context=HALF_CHEETAH_W), FLOWPG_AND_ACRL),
    Row("H+M", HOPPER, constraint("Power", 10.0, box=unit(3), context=HOPPER_W), FLOWPG_AND_ACRL),
    Row("W+M", WALKER, constraint("Power", 10.0, box=unit(6), context=WALKER_W), FLOWPG_AND_ACRL),
    Row("BSS-3", bike_sharing(3), constraint("Allocation", 90, box=docks(3)), f"{FLOWPG}; {NFWPO}"),
    Row("BSS-5", bike_sharing(5), constraint("Allocation", 150, box=docks(5)), f"{FLOWPG}; {NFWPO}"),
    # The same arm without a constraint, and with others on the power of its joints.
    Row("R+N", REACHER, constraint("Box", box=unit(2)), ACRL_BENCH),
    Row("R+O03", REACHER, constraint("WeightedL1", 0.3, box=unit(2), context=REACHER_W), ACRL_BENCH),
    Row("R+O10", REACHER, constraint("WeightedL1", 1.0, box=unit(2), context=REACHER_W), ACRL_BENCH),
    Row("R+O30", REACHER, constraint("WeightedL1", 3.0, box=unit(2), context=REACHER_W), ACRL_BENCH),
    Row("R+M", REACHER, constraint("Power", 1.0, box=unit(2), context=REACHER_W), ACRL_BENCH),
    # An ellipse that the elbow turns, a half-space, two constraints at once, a ball that the box cuts.
    Row("R+T", REACHER, constraint("TwoLinkTip", 0.05, box=unit(2), context=REACHER_COSINE), ACRL_BENCH),
    Row("HC+MA", HALF_CHEETAH, constraint("TwoLegs", 5.0, box=unit(6), context=HALF_CHEETAH_LEGS), ACRL_BENCH),
    Row("H+O+S", HOPPER, l1_and_sines(3, HOPPER_W, HOPPER_TH), ACRL_BENCH),
    Row("W+O+S", WALKER, l1_and_sines(6, WALKER_W, WALKER_TH), ACRL_BENCH),
    Row("An+L2", ANT, constraint("Ball", 2.0, box=unit(8)), ARAM),
    Row("An+M", ANT, constraint("Power", 20.0, box=unit(8), context=ANT_W), AS_POWER, version=1),
    # Shares of wealth: a simplex with limits on groups of assets.
    Row(
        "Portfolio",
        PORTFOLIO,
        constraint("GroupedAllocation", 1.0, GROUPS, [0.1, 0.2, 0.0], [0.5, 0.7, 0.2], box=weights(8)),
        CAOSD,
        version=1,
    ),
    # An actuator that takes ten steps from one end of its range to the other, alone and with a budget for power.
    Row(
        "HC+R",
        HALF_CHEETAH_BEFORE,
        constraint("RateLimit", 0.2, box=unit(6), context=HALF_CHEETAH_P),
        RATE_LIMITED,
        version=1,
    ),
    Row(
        "HC+O+R",
        HALF_CHEETAH_BEFORE,
        l1_and_rate(6, HALF_CHEETAH_W, HALF_CHEETAH_P),
        RATE_LIMITED,
        version=1,
        notes="If the rate limit leaves no action, or hardly any, within the budget of 20, the budget is 5% more than "
        "the smallest sum that the rate limit allows.",
    ),
    # The environments with only their action box, for reference returns without the constraint.
    Row("HC+N", HALF_CHEETAH, constraint("Box", box=unit(6)), BOX_ALONE),
    Row("H+N", HOPPER, constraint("Box", box=unit(3)), BOX_ALONE),
    Row("W+N", WALKER, constraint("Box", box=unit(6)), BOX_ALONE),
    Row("An+N", ANT, constraint("Box", box=unit(8)), BOX_ALONE),
    Row("BSS-3+N", bike_sharing(3), constraint("Box", box=docks(3)), BOX_ALONE, notes=ENVIRONMENT_ALLOCATES),
    Row("BSS-5+N", bike_sharing(5), constraint("Box", box=docks(5)), BOX_ALONE, notes=ENVIRONMENT_ALLOCATES),
    Row("HC+R+N", HALF_CHEETAH_BEFORE, constraint("Box", box=unit(6)), BOX_ALONE, version=1),
    Row(
        "Portfolio+N",
        PORTFOLIO,
        constraint("Box", box=weights(8)),
        BOX_ALONE,
        version=1,
        notes="Any point of the box is an action; the environment executes the nearest weights that add up to 1.",
    ),
    # Sets that are not convex: a ring, and two discs whose centres and sizes were chosen here.
    Row(
        "R+Ring",
        REACHER,
        constraint("Ring", 0.02, 0.05, box=unit(2)),
        HERE,
        notes=f"The projection of 0 is (0.02 ** 0.5, 0). {NOT_CONVEX}",
    ),
    Row(
        "R+2D",
        REACHER,
        constraint("Discs", [[0.5, 0.0], [-0.5, 0.0]], [0.05, 0.02], box=unit(2)),
        HERE,
        notes=f"Ties between discs go to the larger one, at (0.5, 0). {NOT_CONVEX}",
    ),
)

for row in TASKS:
    simulator = row.simulator
    register_lazily(
        TaskSummary(row.id, simulator.env_id, row.constraint.dim, row.constraint.name),
        row.make,
        row.version,
        simulator.max_episode_steps,
    )
