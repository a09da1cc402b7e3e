"""Every method on a task of every family of constraints: a few episodes through the harness.

The replay buffer wraps around, episodes are truncated and, where a Hopper falls, terminated; runs on the Hopper are
interrupted and resumed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from envs import make_task
from methods import list_methods
from methods.base import method_class
from tests.golden import harness
from tests.golden.harness import run
from tests.golden.numbers import Record, summary
from tests.golden.records import Golden

STEPS, WARMUP, BATCH, REPLAY = 48, 14, 16, 24
SETTINGS = {
    "hidden": [16, 16],
    "actor_lr": 2e-3,
    "critic_lr": 5e-3,
    "batch_size": BATCH,
    "tau": 0.05,
    "replay_size": REPLAY,
    "warmup": WARMUP,
    "samples": {"train": 64, "test": 32, "rollout_steps": 12},
    "flow": {"updates": 6, "batch_size": 32, "hidden": [16], "layers": 2},
}
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Course:
    """How a run on one task goes: length of an episode, when updates are made, where it is interrupted."""

    episode: int
    update_at: str = "episode"
    interrupted_at: int | None = None


COURSES = {
    "R+L2": Course(episode=20),
    "HC+O": Course(episode=15, update_at="step"),
    "H+M": Course(episode=22, interrupted_at=39),
    "BSS-3": Course(episode=17),
    "R+N": Course(episode=20, update_at="step"),
    "R+T": Course(episode=20),
    "HC+MA": Course(episode=15),
    "H+O+S": Course(episode=22, update_at="step", interrupted_at=39),
    "R+Ring": Course(episode=20, interrupted_at=37),
    "R+2D": Course(episode=20),
}


def applies(method: str, task_id: str) -> bool:
    """Whether the method is for sets like the task's."""
    return make_task(task_id).constraint.convex or not method_class(method).needs_convex


def goldens() -> dict[str, Golden]:
    """One for each pair that applies."""
    pairs = [(method, task) for method in list_methods() for task in COURSES if applies(method, task)]
    return {f"trajectories/{m}/{t}": Golden(lambda m=m, t=t: trajectory(m, t), TOLERANCE) for m, t in pairs}


def trajectory(method: str, task_id: str) -> Record:
    """What a run measured, and where it ended."""
    course = COURSES[task_id]
    task = harness.short_task(task_id, course.episode)
    settings: dict[str, Any] = SETTINGS | ({"noise": 2.0} if task_id.startswith("BSS") else {})
    known = method_class(method).Config.model_fields
    settings = {name: value for name, value in settings.items() if name in known}
    outcome, seen = run(task, method, settings, STEPS, course.update_at, course.interrupted_at)
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
    }
    kinds = {name: getattr(outcome.violations, name) for name in ("policy", "behaviour", "executed")}
    for name, count in (kinds | {"final policy": outcome.final_policy.violations}).items():
        shares = count.valid_share.values()
        found[f"{name} counts"] = [count.n, count.count, *(round(share * count.n) for share in shares)]
        found[f"{name} sizes"] = [count.mean, count.max]
        assert all(math.isclose(round(share * count.n), share * count.n, abs_tol=1e-9) for share in shares)
    return found | {f"curve {name}": values for name, values in outcome.curves.items()}
