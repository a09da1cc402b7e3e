"""What returns are measured by: a random feasible policy is 0, the same learner without the constraint is 1.

Both are runs like any other, at the profile's budget and seeds, so that a new method moves nobody's score.
"""

from __future__ import annotations

from collections.abc import Iterable

from envs.constraints import Box
from envs.registry import TaskSpec, list_tasks, make_task

LOW_METHOD = "random-feasible"
# On a task with its action box alone this is plain DDPG: nothing is left to project.
HIGH_METHOD = "ddpg-projection"


def unconstrained_task(task: TaskSpec) -> str | None:
    """Id of the task with the same environment and no constraint but the action box; None if there is none."""
    environment = (task.env_id, task.entry_point, dict(task.env_kwargs), task.max_episode_steps)
    for other in map(make_task, list_tasks()):
        same = (other.env_id, other.entry_point, dict(other.env_kwargs), other.max_episode_steps) == environment
        if same and type(other.constraint) is Box:
            return other.id
    return None


def anchor_pairs(tasks: Iterable[str], unconstrained: Iterable[str]) -> list[tuple[str, str]]:
    """Task and method of every run that the returns of ``tasks`` are measured by."""
    return [(task, LOW_METHOD) for task in tasks] + [(task, HIGH_METHOD) for task in unconstrained]
