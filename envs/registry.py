"""The task registry: ids as in the papers, each also a Gymnasium environment ``acrl/<id>-v<version>``.

A task is one :class:`TaskSpec`, passed to :func:`register_task`. The shipped ones are rows of ``envs/tasks.py``; other
packages add theirs through an entry point of the group ``acrl.tasks`` that names the module to import::

    [project.entry-points."acrl.tasks"]
    my-tasks = "my_package.tasks"
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat

import gymnasium
from gymnasium.envs import registration

from envs.errors import RunFailedError, UnknownIdError, UserError

if TYPE_CHECKING:
    from torch import Tensor

    from envs.constraints.base import Constraint

ENTRY_POINT_GROUP = "acrl.tasks"

# Gymnasium's grammar for ids lacks "+", which every paper uses in task names: widen it by that one character.
registration.ENV_ID_RE = re.compile(registration.ENV_ID_RE.pattern.replace(r"[\w:.-]+?", r"[\w:.+-]+?"))

_TASKS: dict[str, Callable[[], TaskSpec]] = {}
_SUMMARIES: dict[str, TaskSummary] = {}


class TaskSummary(NamedTuple):
    """A task in one line: id, environment, action dimension n and class of the constraint."""

    id: str
    env_id: str
    dim: int
    family: str


@dataclass(frozen=True)
class TaskSpec:
    """One row of the benchmark: an environment and the constraint on its actions.

    Attributes:
        id: Name in the papers, such as ``"HC+O"``.
        version: Raised whenever a change alters results.
        env_id: The environment: a Gymnasium id such as ``"HalfCheetah-v5"``, or ``"BikeSharing"``.
        entry_point: Where Gymnasium finds the environment class, ``"module:Class"``.
        constraint: C(s), in the environment's own action units.
        steps: Published training budget in environment steps.
        max_episode_steps: Step at which episodes are truncated.
        source: Paper that defines the task.
        notes: Differences from environments of the same name in the literature.
        env_kwargs: Arguments for the environment's constructor.
        idle: Observation entries that hold the action which changes nothing, such as the current allocation, one per
            coordinate; if empty, that action is 0, such as no torque.
    """

    id: str
    version: int
    env_id: str
    entry_point: str
    constraint: Constraint
    steps: int
    max_episode_steps: int
    source: str
    notes: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    idle: tuple[int, ...] = ()

    @property
    def gym_id(self) -> str:
        """Id for ``gymnasium.make``, which makes an environment that enforces the constraint."""
        return _gym_id(self.id, self.version)

    def make_env(self, **kwargs: Any) -> gymnasium.Env[Any, Any]:
        """A new environment that executes any action; ``kwargs`` such as ``render_mode`` go to ``gymnasium.make``."""
        bare = registration.EnvSpec(
            self.gym_id,
            self.entry_point,
            max_episode_steps=self.max_episode_steps,
            kwargs=dict(self.env_kwargs),
        )
        return gymnasium.make(bare, **kwargs)

    def observed(self, observation: Any, reward: SupportsFloat = 0.0) -> Tensor:
        """Check an observation and a reward, and return the observation (o,) in float64.

        Raises:
            RunFailedError: If the observation or the reward is NaN or infinite.
        """
        import numpy as np
        import torch

        # A copy: an environment may return the same array at every step.
        obs = torch.tensor(np.asarray(observation), dtype=torch.float64)
        if not math.isfinite(float(reward)):
            raise RunFailedError(f"the environment of task '{self.id}' returned a reward of {float(reward)}")
        if not bool(obs.isfinite().all()):
            raise RunFailedError(f"the environment of task '{self.id}' returned an observation with NaN or infinity")
        return obs

    def idle_action(self, obs: Tensor) -> Tensor:
        """The action (B, n) that changes nothing, for observations (B, o); it need not be feasible."""
        return obs[:, list(self.idle)] if self.idle else obs.new_zeros((len(obs), self.constraint.dim))

    def fingerprint(self) -> dict[str, Any]:
        """Everything in this row that affects a run's result, as data that ``json`` can write.

        ``source`` and ``notes`` only inform, ``entry_point`` does not tell what the code does, the training steps are
        part of a run's configuration, and ``idle`` only affects one method.

        Raises:
            UserError: If a parameter of the constraint or of the environment is not plain data.
        """
        return {
            "id": self.id,
            "version": self.version,
            "env_id": self.env_id,
            "env_kwargs": _plain(self.env_kwargs, f"task '{self.id}'"),
            "max_episode_steps": self.max_episode_steps,
            "constraint": _plain(self.constraint, f"task '{self.id}'"),
        }


def register_task(spec: TaskSpec) -> TaskSpec:
    """Register a task here and with Gymnasium.

    Raises:
        UserError: If the id is taken, or Gymnasium cannot parse it.
    """
    summary = TaskSummary(spec.id, spec.env_id, spec.constraint.dim, type(spec.constraint).__name__)
    register_lazily(summary, lambda: spec, spec.version, spec.max_episode_steps)
    return spec


def register_lazily(
    summary: TaskSummary,
    make: Callable[[], TaskSpec],
    version: int,
    max_episode_steps: int,
) -> None:
    """Register a task that is made on first use, so listing tasks costs nothing.

    Listings show ``summary``, ``make`` is called once, and the other arguments are as in :class:`TaskSpec`.

    Raises:
        UserError: As :func:`register_task`.
    """
    if summary.id in _TASKS:
        raise UserError(f"task '{summary.id}' is registered twice: choose another id")
    gym_id, kwargs = _gym_id(summary.id, version), {"task": summary.id}
    try:
        gymnasium.register(gym_id, "envs.wrappers:make", max_episode_steps=max_episode_steps, kwargs=kwargs)
    except gymnasium.error.Error as error:
        raise UserError(f"task '{summary.id}': Gymnasium rejects the id: {_one_line(error)}") from error
    _TASKS[summary.id] = functools.cache(make)
    _SUMMARIES[summary.id] = summary


def make_task(task_id: str) -> TaskSpec:
    """The task with this id.

    Raises:
        UnknownIdError: If there is none; the message names the nearest id.
        UserError: If the tasks of an installed package cannot be loaded.
    """
    _check_loaded()
    return find_task(task_id)


def find_task(task_id: str) -> TaskSpec:
    """As :func:`make_task`, even if tasks of other packages cannot be loaded.

    Raises:
        UnknownIdError: If there is none; the message names the nearest id.
    """
    if task_id not in _TASKS:
        raise UnknownIdError("task", task_id, _TASKS)
    return _TASKS[task_id]()


def list_tasks() -> list[str]:
    """Ids of all tasks: the shipped ones in the order of their table, then those of other packages.

    Raises:
        UserError: If the tasks of an installed package cannot be loaded.
    """
    _check_loaded()
    return list(_TASKS)


def summarise_tasks() -> list[TaskSummary]:
    """Summaries of all tasks in the order of :func:`list_tasks`, without making constraints."""
    return [_SUMMARIES[task_id] for task_id in list_tasks()]


@functools.cache
def load_tasks() -> tuple[str, ...]:
    """Import every module that registers tasks, once, and return the entry points that failed.

    Called when ``envs`` is imported, where somebody else's broken package must not stop the shipped tasks. Failures are
    therefore only returned here; :func:`make_task` and :func:`list_tasks` raise them, :func:`find_task` and
    ``gymnasium.make`` do not.
    """
    # Not imported at the top: the table imports this module, and no task depends on the rows of others.
    importlib.import_module("envs.tasks")
    failures = []
    # Sorted, since they come in the order of directories on the path.
    for entry_point in sorted(importlib.metadata.entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        try:
            entry_point.load()
        except Exception as error:
            failures.append(f"'{entry_point.name}' ({entry_point.value}): {_one_line(error)}")
    return tuple(failures)


def _check_loaded() -> None:
    failures = load_tasks()
    if failures:
        raise UserError(f"an entry point of {ENTRY_POINT_GROUP} is broken: fix or uninstall it: {'; '.join(failures)}")


def _plain(value: Any, owner: str) -> Any:
    """``value`` as dicts, lists, numbers and strings; a constraint as its class name and public attributes."""
    import numpy as np
    import torch

    from envs.constraints.base import Constraint

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic | torch.Tensor):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, owner) for key, entry in value.items()}
    if isinstance(value, Sequence):
        return [_plain(entry, owner) for entry in value]
    if isinstance(value, Constraint):
        parameters = {name: entry for name, entry in vars(value).items() if not name.startswith("_")}
        return {"class": type(value).__name__, **_plain(parameters, owner)}
    raise UserError(
        f"{owner}: a parameter of type {type(value).__name__} is not plain data, so it cannot identify a run"
    )


def _gym_id(task_id: str, version: int) -> str:
    return f"acrl/{task_id}-v{version}"


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
