"""Every method on tasks of ten families of constraints, or of three: a few episodes through the harness.

The replay buffer wraps around, episodes are truncated and, where a Hopper falls, terminated; runs on the Hopper are
interrupted and resumed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from envs import make_task
from envs.constraints import Intersection, Power, SineSquares, TwoLegs, WeightedL1
from envs.constraints.base import Constraint
from methods import list_methods
from methods.base import method_class
from methods.ddpg import DDPG
from methods.learner import Learner
from methods.td3 import TD3
from tests.golden import harness
from tests.golden.harness import run
from tests.golden.numbers import Record, summary
from tests.golden.records import Golden

SETTINGS = {
    "hidden": [16, 16],
    "actor_lr": 2e-3,
    "critic_lr": 5e-3,
    "batch_size": 16,
    "tau": 0.05,
    "replay_size": 18,
    "warmup": 9,
    "samples": {"train": 64, "test": 32, "rollout_steps": 12},
    "flow": {"updates": 4, "batch_size": 32, "hidden": [16], "layers": 2},
    "actor_samples": 2,
    "snapshot_after": 0,
    "snapshot_every": 4,
    "rejected_decay_steps": 9,
}
TOLERANCE = 3e-4


@dataclass(frozen=True)
class Course:
    """How a run on one task goes.

    Attributes:
        steps: Environment steps.
        episode: Longest episode.
        update_at: When updates are made.
        interrupted_at: The step after which the run is interrupted, to be resumed from the last episode's end.
        tighter: The task's constraint with bounds that are reached in so few steps.
        env_kwargs: Of the environment, so that it ends early.
    """

    steps: int
    episode: int
    update_at: str = "episode"
    interrupted_at: int | None = None
    tighter: Callable[[Any], Constraint] = lambda constraint: constraint
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)


def ends(constraint: Constraint) -> tuple[Any, Any, tuple[int, ...]]:
    """What every family's constructor takes last."""
    return constraint.lower, constraint.upper, constraint.context_indices


def tighter_pair(both: Intersection) -> Constraint:
    """Of H+O+S."""
    return Intersection(WeightedL1(1.0, *ends(both.l1)), SineSquares(0.002, *ends(both.quadratic)))


COURSES = {
    "R+L2": Course(28, episode=11),
    "HC+O": Course(26, episode=10, update_at="step"),
    "H+M": Course(
        30,
        episode=15,
        interrupted_at=27,
        tighter=lambda c: Power(1.0, *ends(c)),
        env_kwargs={"healthy_angle_range": (-0.06, 0.06)},
    ),
    "BSS-3": Course(26, episode=12),
    "R+N": Course(24, episode=10, update_at="step"),
    "R+T": Course(24, episode=10),
    # Contacts with the ground amplify rounding: episodes end before it shows.
    "HC+MA": Course(24, episode=8, tighter=lambda c: TwoLegs(0.5, *ends(c))),
    "H+O+S": Course(26, episode=12, update_at="step", interrupted_at=24, tighter=tighter_pair),
    "R+Ring": Course(24, episode=10, interrupted_at=22),
    "R+2D": Course(24, episode=10),
}


# Of rows that differ in one setting: truncation, termination and resuming, sets in a plane, by state and by none.
THREE = ("R+L2", "H+M", "BSS-3")


def applies(method: str, task_id: str) -> bool:
    """Whether the method is for sets like the task's, and is recorded there."""
    cls = method_class(method)
    on_ddpg = issubclass(cls, DDPG) and not issubclass(cls, TD3)
    recorded = task_id in THREE or on_ddpg or not issubclass(cls, Learner)
    return recorded and (make_task(task_id).constraint.convex or not cls.needs_convex)


def goldens() -> dict[str, Golden]:
    """One for each pair that applies."""
    pairs = [(method, task) for method in list_methods() for task in COURSES if applies(method, task)]
    return {f"trajectories/{m}/{t}": Golden(lambda m=m, t=t: trajectory(m, t), TOLERANCE) for m, t in pairs}


def trajectory(method: str, task_id: str) -> Record:
    """What a run measured, and where it ended."""
    course = COURSES[task_id]
    task = harness.short_task(task_id, course.episode, **course.env_kwargs)
    task = dataclasses.replace(task, constraint=course.tighter(task.constraint))
    settings: dict[str, Any] = SETTINGS | ({"noise": 2.0} if task_id.startswith("BSS") else {})
    known = method_class(method).Config.model_fields
    settings = {name: value for name, value in settings.items() if name in known}
    outcome, seen = run(task, method, settings, course.steps, course.update_at, course.interrupted_at)
    assert outcome.returns is not None
    assert outcome.final_policy is not None
    returns = outcome.returns
    weights = [value for value in outcome.state.values() if value.dtype == torch.float32 and value.dim()]
    found: Record = {
        "rewards": [transition.reward for transition in seen],
        "executed": summary(torch.cat([transition.action for transition in seen])),
        "behaviour": summary(torch.cat([transition.behaviour for transition in seen])),
        "terminated": [index for index, transition in enumerate(seen) if transition.terminated],
        "truncated": [index for index, transition in enumerate(seen) if transition.truncated],
        "evaluated at": [evaluation.step for evaluation in returns.evaluations],
        "evaluations": [evaluation.episodes for evaluation in returns.evaluations],
        "final": returns.final.episodes,
        "best": returns.best.episodes,
        "best at": returns.best.step,
        "calls": list(outcome.calls.model_dump().values()),
        "visited": summary(outcome.visited),
        "contexts": summary(outcome.final_policy.contexts),
        "weights": summary(torch.cat([value.reshape(-1) for value in weights])) if weights else [],
        "violation sizes": [],
    }
    kinds = {name: getattr(outcome.violations, name) for name in ("policy", "behaviour", "executed")}
    for name, count in (kinds | {"final policy": outcome.final_policy.violations}).items():
        shares = [share or 0.0 for share in count.valid_share.values()]
        counts = [count.n, count.count, *(round(share * count.n) for share in shares)]
        # A solver ends some 1e-9 inside or outside, as rounding has it.
        by_solver = name == "executed" and method == "ddpg-projection-qp"
        found[f"{name} counts"] = [count.n, *counts[3:]] if by_solver else counts
        found["violation sizes"] += [count.mean, count.max]
        assert all(math.isclose(round(share * count.n), share * count.n, abs_tol=1e-9) for share in shares)
    return found | {f"curve {name}": values for name, values in outcome.curves.items()}
