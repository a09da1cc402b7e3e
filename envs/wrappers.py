"""Gymnasium environments that enforce a task's constraint for any agent."""

from __future__ import annotations

from typing import Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium.envs.registration import load_env_creator
from gymnasium.utils import RecordConstructorArgs

from envs.errors import UserError
from envs.registry import find_task

Enforce = Literal["project", "off", "error"]
MODES = get_args(Enforce)


class EnforceConstraint(gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Check every action against a task's constraint, and project infeasible ones onto the feasible set.

    The ``info`` of each step has

    - ``cost``: 1.0 if the action was infeasible, else 0.0, as in Safety-Gymnasium;
    - ``violation``: summed positive violation in the constraint's units;
    - ``projected_distance``: Euclidean distance from the action to the nearest feasible one;
    - ``executed_action``: the action passed to the environment, (n,) in float64.

    A float32 action is checked in float32. If actions are whole numbers, as in bike sharing, the nearest feasible
    action is whole, and with ``enforce="off"`` or ``"error"`` the environment itself rounds what is not.

    Args:
        env: The task's environment, which executes any action.
        task: Id of the task, such as ``"HC+O"``.
        enforce: How to treat infeasible actions: ``"project"`` executes the nearest feasible action, ``"off"`` executes
            the action unchanged, and ``"error"`` raises an error.

    Raises:
        UserError: If ``enforce`` is none of these.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], task: str, enforce: Enforce = "project") -> None:
        RecordConstructorArgs.__init__(self, task=task, enforce=enforce)
        super().__init__(env)
        if enforce not in MODES:
            raise UserError(f"enforce is {enforce!r}; choose one of {', '.join(map(repr, MODES))}")
        # Typed as Any, since it is called with arrays, which its annotations do not name.
        self._constraint: Any = find_task(task).constraint
        self._enforce = enforce
        self._obs = np.empty(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._obs = np.array(observation, dtype=np.float64)
        return observation, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Act with the feasible action nearest to ``action`` (n,), unless ``enforce`` says otherwise.

        Raises:
            UserError: If the action has the wrong shape or holds NaN or infinity, or ``enforce`` is ``"error"`` and
                the action is infeasible; no step is taken then.
        """
        asked = np.array(action, dtype=np.float64)
        # In its own precision: the rounding of a float32 action is not a violation.
        own = action if getattr(action, "dtype", None) == np.float32 else asked
        violation = float(np.maximum(self._constraint.violation(own, self._obs), 0).sum())
        if violation > 0 and self._enforce == "error":
            raise UserError(
                f"infeasible action: it violates the constraint by {violation:.3g}; project it, or make the "
                "environment with enforce='project'"
            )
        repaired = self._constraint.repair(asked, self._obs)
        executed = repaired if self._enforce == "project" else asked
        judged = {
            "cost": float(violation > 0),
            "violation": violation,
            "projected_distance": float(np.linalg.norm(repaired - asked)),
            "executed_action": executed.copy(),
        }
        observation, reward, terminated, truncated, info = self.env.step(executed)
        self._obs = np.array(observation, dtype=np.float64)
        return observation, reward, terminated, truncated, {**info, **judged}


def make(task: str, enforce: Enforce = "project", **kwargs: Any) -> EnforceConstraint:
    """The entry point of ``gymnasium.make("acrl/<task>-v<version>")``, which adds the time limit.

    Args:
        task: Id of the task.
        enforce: See :class:`EnforceConstraint`.
        **kwargs: Arguments of the environment's constructor, such as ``render_mode``.
    """
    spec = find_task(task)
    # Not spec.make_env(): the environment's own wrappers would then keep a specification without this one.
    bare = load_env_creator(spec.entry_point)(**{**spec.env_kwargs, **kwargs})
    assert isinstance(bare, gymnasium.Env)
    return EnforceConstraint(bare, task, enforce)
