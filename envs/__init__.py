"""Tasks, their constraints, and samplers of feasible actions.

Importing this package registers every task with Gymnasium, for ``gymnasium.make("acrl/HC+O-v0")``;
``gymnasium.make("envs:acrl/HC+O-v0")`` imports it. Torch and the constraints are only imported when a task is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envs.errors import UserError
from envs.mujoco import prepare_mujoco
from envs.registry import TaskSpec, list_tasks, load_tasks, make_task, register_task

if TYPE_CHECKING:
    from envs.constraints.base import Constraint

__all__ = ["Constraint", "TaskSpec", "UserError", "list_tasks", "make_task", "register_task"]


def __getattr__(name: str) -> Any:
    """``envs.Constraint``, imported on first use."""
    if name != "Constraint":
        raise AttributeError(f"module 'envs' has no attribute '{name}'")
    from envs.constraints.base import Constraint

    return Constraint


prepare_mujoco()
# Last, since packages with tasks import this one.
load_tasks()
