"""What is to be solved: tasks, their constraints, and samplers of feasible actions.

Importing this package registers every task with Gymnasium, so that ``gymnasium.make("acrl/HC+O-v0")`` works.
"""

from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.mujoco import forward_warnings
from envs.registry import TaskSpec, list_tasks, load_tasks, make_task, register_task

__all__ = ["Constraint", "TaskSpec", "UserError", "list_tasks", "make_task", "register_task"]

forward_warnings()
load_tasks()
