"""The base class of methods, and their registry.

A method chooses actions and learns. The harness times, counts and repairs.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.metadata
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict

from envs.errors import UnknownIdError, UserError
from envs.registry import TaskSpec
from methods.settings import read_settings

if TYPE_CHECKING:
    from torch import Tensor

ENTRY_POINTS = "acrl.methods"
REGISTRATION = re.compile(r"^@register_method\(\"([^\"]+)\"", flags=re.MULTILINE)
Tensors: TypeAlias = "dict[str, Tensor]"


class MethodConfig(BaseModel):
    """Base of every method's settings. Unknown and ill-typed settings are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


C = TypeVar("C", bound=MethodConfig)
M = TypeVar("M", bound="type[Method[Any]]")


class Transition(NamedTuple):
    """One environment step; tensors are of shape (1, .).

    Attributes:
        obs: Observation before the step.
        behaviour: The method's action with noise, before repair.
        action: The executed action, after repair.
        reward: Reward of the executed action.
        next_obs: Observation after the step, even at the end of an episode.
        terminated: Whether the episode ended in a terminal state; do not bootstrap from ``next_obs`` then.
        truncated: Whether a time limit ended the episode; ``next_obs`` still has a value.
    """

    obs: Tensor
    behaviour: Tensor
    action: Tensor
    reward: float
    next_obs: Tensor
    terminated: bool
    truncated: bool


Maker = Callable[["Artifacts"], Tensors]


class Checkpoint:
    """Saves the state of a long preparation, which can then resume after an interruption. This one saves nothing."""

    def load(self) -> Tensors | None:
        """The last saved state, or None."""
        return None

    def save(self, state: Tensors) -> None:
        """Save a state in place of the last one."""


class Artifacts:
    """Stores what preparation makes, for all seeds to share. This one stores nothing.

    Attributes:
        checkpoint: Checkpoint of the artifact being made.
    """

    checkpoint: Checkpoint = Checkpoint()

    def get(self, name: str, settings: Mapping[str, Any], versions: dict[str, int], make: Maker) -> Tensors:  # noqa: ARG002
        """Return the artifact ``name``, and make it unless one of the same task, settings and versions is stored.

        Args:
            name: Short name, such as ``"flows"``.
            settings: Plain data that determines the artifact besides the task.
            versions: Versions of the code that makes it, by name; raised when a change alters the artifact.
            make: Makes the artifact; it is given the store, from which it can get other artifacts.
        """
        return make(self)


class Method(ABC, Generic[C]):
    """Base of all methods.

    A subclass has a class ``Config`` and implements :meth:`act`, :meth:`observe`, :meth:`update`, :meth:`state_dict`
    and :meth:`load_state_dict`. Everything else has a default.

    Args:
        task: The task to learn. The method may query its constraint.
        config: Settings, an instance of ``Config``.
        seed: Seed of all randomness in the run.

    Attributes:
        id: Id of the method, given by :func:`register_method`.
        version: Raised when a change alters results; part of a run's key.
        Config: Class of the settings, a subclass of :class:`MethodConfig`.
        needs_convex: Why the method applies to convex constraints only; empty if it applies to all.

    Raises:
        UserError: If the method does not apply to the task's constraint.
    """

    id: ClassVar[str]
    version: ClassVar[int]
    Config: ClassVar[type[MethodConfig]]
    needs_convex: ClassVar[str] = ""
    config: C

    def __init__(self, task: TaskSpec, config: C, seed: int) -> None:
        if self.needs_convex and not task.constraint.convex:
            why = f"whose constraint is not convex: {self.needs_convex}"
            raise UserError(f"'{self.id}' does not apply to {task.id}, {why}")
        self.task = task
        self.config = config
        self.seed = seed

    @classmethod
    def versions(cls, config: C) -> dict[str, int]:  # noqa: ARG003
        """Versions of the method and of everything it prepares with these settings, by name."""
        return {cls.id: cls.version}

    @property
    def projection_solver(self) -> Literal["exact", "cvxpy"]:
        """How the harness repairs actions: ``exact``, or ``cvxpy`` to solve a QP at every step, feasible or not."""
        return "exact"

    def prepare(self, artifacts: Artifacts | None = None) -> None:
        """Prepare once before training, such as by training a flow. Timed separately."""

    @abstractmethod
    def act(self, obs: Tensor, explore: bool) -> Tensor:
        """Return actions (B, n) in the environment's units, before repair, for observations (B, o)."""

    def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return the policy's action and the noisy one.

        The first is None while the policy is not used (warm-up), or if exploring does not need it
        (:attr:`counted_apart`). By default both are computed, and both are timed.
        """
        return self.act(obs, explore=False), self.act(obs, explore=True)

    @property
    def counted_apart(self) -> bool:
        """Whether there is a policy where :meth:`act_pair` returns None for it, since exploring does not need it.

        The harness then asks for the policy's action itself to count its violations, off the clock.
        """
        return False

    @abstractmethod
    def observe(self, transition: Transition) -> None:
        """Receive one environment step."""

    @abstractmethod
    def update(self) -> dict[str, float]:
        """Take one gradient step and return its losses by name, which become curves; empty before learning starts."""

    @abstractmethod
    def state_dict(self) -> Tensors:
        """Return a copy of everything learned and the states of all generators, without the replay buffer."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore a state returned by :meth:`state_dict`.

        Raises:
            UserError: If an entry is missing or has another shape.
        """

    def policy_dict(self) -> Tensors:
        """Return what ``act(obs, explore=False)`` needs, except what :meth:`prepare` makes.

        ``acrl export`` writes it. The default is :meth:`state_dict`.
        """
        return self.state_dict()

    def load_policy_dict(self, state: Mapping[str, Tensor]) -> None:
        """Restore the policy of a :meth:`policy_dict`. The method can then act, but not resume learning.

        Raises:
            UserError: If an entry is missing or has another shape.
        """
        self.load_state_dict(state)

    def checkpoint_dict(self) -> Tensors:
        """Return everything that the rest of training depends on, between two episodes.

        The default is :meth:`state_dict`; a method with a replay buffer adds it. Entries may share memory with the
        method.
        """
        return self.state_dict()

    def load_checkpoint_dict(self, state: Mapping[str, Tensor]) -> None:
        """Resume from a :meth:`checkpoint_dict`, as if there had been no interruption.

        Raises:
            UserError: If an entry is missing or has another shape.
        """
        self.load_state_dict(state)


_METHODS: dict[str, type[Method[Any]]] = {}


def register_method(id: str, version: int = 1) -> Callable[[M], M]:
    """Class decorator that registers a method.

    Args:
        id: Id of the method, such as ``"nfw"``.
        version: Raised when a change alters results, which makes earlier runs stale.

    Raises:
        UserError: If the id is taken.
    """

    def add(cls: M) -> M:
        shipped = shipped_methods().get(id)
        if id in _METHODS or (shipped and cls.__module__ != f"methods.{shipped.stem}"):
            raise UserError(f"method '{id}' is registered twice; choose another id")
        cls.id = id
        cls.version = version
        _METHODS[id] = cls
        return cls

    return add


@functools.cache
def shipped_methods() -> dict[str, Path]:
    """Files of this package's methods, by id, found by their text: listing methods imports none."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return {id: file for file in files for id in REGISTRATION.findall(file.read_text("utf-8"))}


@functools.cache
def _load_plug_ins() -> None:
    """Import every entry point of the group ``acrl.methods``."""
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            entry_point.load()
        except Exception as error:
            raise UserError(f"method plug-in '{entry_point.name}' cannot be loaded: {error}") from error


def list_methods() -> list[str]:
    """Ids of all methods, sorted."""
    _load_plug_ins()
    return sorted(shipped_methods().keys() | _METHODS.keys())


def method_class(id: str) -> type[Method[Any]]:
    """The class of a method.

    Raises:
        UnknownIdError: If there is no such method.
    """
    if id not in _METHODS and id in shipped_methods():
        importlib.import_module(f"methods.{shipped_methods()[id].stem}")
    if id not in _METHODS:
        _load_plug_ins()
    if id not in _METHODS:
        raise UnknownIdError("method", id, list_methods())
    return _METHODS[id]


def describe_method(id: str) -> str:
    """First line of the docstring of a method's class or, if a module of this package has one method, of the module.

    Raises:
        UnknownIdError: If there is no such method.
    """
    if id in shipped_methods():
        module = ast.parse(shipped_methods()[id].read_text("utf-8"))
        registered = {_registered_id(node): node for node in module.body if isinstance(node, ast.ClassDef)}
        several = len(registered.keys() - {None}) > 1
        said = ast.get_docstring(registered[id] if several else module)
    else:
        said = method_class(id).__doc__
    return (said or "").strip().partition("\n")[0]


def _registered_id(cls: ast.ClassDef) -> str | None:
    """The id that a class is registered with, in the source of a module."""
    for decorator in cls.decorator_list:
        match decorator:
            case ast.Call(func=ast.Name("register_method"), args=[ast.Constant(str(id)), *_]):
                return id
    return None


def make_method(id: str, task: TaskSpec, config: Mapping[str, Any] | None = None, seed: int = 0) -> Method[Any]:
    """Make a method, ready for :meth:`Method.prepare` and training.

    Args:
        id: Id of the method, such as ``"flowpg"``; see :func:`list_methods`.
        task: A task from ``envs.make_task``.
        config: Settings that differ from the method's defaults.
        seed: Seed of all randomness.

    Raises:
        UnknownIdError: If there is no such method.
        UserError: If a setting is unknown or ill-typed.
    """
    cls = method_class(id)
    return cls(task, parse_config(cls, config or {}), seed)


def parse_config(cls: type[Method[Any]], config: Mapping[str, Any]) -> MethodConfig:
    """Settings checked against the method's ``Config``.

    Raises:
        SettingError: If a setting is unknown or ill-typed.
    """
    return read_settings(cls.Config, config, f"config of method '{cls.id}'")


def changed_settings(settings: BaseModel) -> dict[str, Any]:
    """Settings that differ from their defaults, as plain data. A new setting thus changes no earlier key."""
    changed: dict[str, Any] = {}
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            inner = changed_settings(value)
            if inner:
                changed[name] = inner
        elif field.is_required() or value != field.get_default(call_default_factory=True):
            changed |= settings.model_dump(mode="json", include={name})
    return changed
