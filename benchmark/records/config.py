"""Profiles and settings: reads ``params.yaml`` and resolves the full configuration of a run."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from benchmark.records.yaml import find_line, find_params, merge, read_yaml
from envs.errors import UnknownIdError, UserError
from envs.registry import make_task
from methods.base import method_class, parse_config
from methods.settings import SettingError, read_settings


class Settings(BaseModel):
    """Base of everything read from params.yaml. Unknown names and repeated entries of a list are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _without_repeats(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            _refuse_repeats(value)
        return value


class EvaluationSettings(Settings):
    """When and how long the policy is evaluated.

    Attributes:
        every: Training steps between evaluations. There is one after the last step too.
        episodes: Episodes per evaluation.
        final_episodes: Episodes of the last and of the best policy at the end.
        judged_steps: Least number of steps in which violations of the last policy's raw output are counted. Episodes
            are added to the last evaluation until it has as many.
    """

    every: PositiveInt
    episodes: PositiveInt
    final_episodes: PositiveInt
    judged_steps: NonNegativeInt = 0


class ExperimentSettings(Settings):
    """Sizes of the experiments (docs/experiments.md).

    Attributes:
        draws: Latents drawn for each share of valid actions.
        feasible: Feasible actions for each recall on a changed set.
        factors: Factors by which thresholds are multiplied.
        rollout_steps: Environment steps that give a new set of states.
        samples: Samples drawn by each sampler, per repeat.
        repeats: Number of measurements of a sampler's speed.
        dimensions: Action dimensions in which samplers are compared.
        shares: Shares of the action box that are feasible.
        constraints: Numbers of half-spaces.
        zones: Numbers of zones of an allocation.
        limit_seconds: A sampler that would take longer is stopped and its cost estimated [s].
        steps: Training steps of each agent that an experiment trains.
        long_steps: Training steps of the agents of experiment X1, which have to learn something.
        looks: Number of times an agent is measured during its training.
        states: States at which actor and critic are measured.
    """

    draws: PositiveInt = 20_000
    feasible: PositiveInt = 20_000
    factors: tuple[PositiveFloat, ...] = (0.5, 0.8, 1.25, 2.0)
    rollout_steps: PositiveInt = 5_000
    samples: PositiveInt = 20_000
    repeats: PositiveInt = 5
    dimensions: tuple[PositiveInt, ...] = (2, 4, 8, 16)
    shares: tuple[PositiveFloat, ...] = (0.5, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    constraints: tuple[PositiveInt, ...] = (1, 2, 4, 8, 16, 32)
    zones: tuple[PositiveInt, ...] = (3, 4, 5, 6, 8)
    limit_seconds: PositiveFloat = 5.0
    steps: PositiveInt = 500
    long_steps: PositiveInt = 1_000
    looks: PositiveInt = 2
    states: PositiveInt = 500


class TimingSettings(Settings):
    """Sizes of the timing of training steps.

    Attributes:
        steps: Training steps per round.
        rounds: Rounds per method.
    """

    steps: PositiveInt = 500
    rounds: PositiveInt = 5


class TaskSettings(Settings):
    """Settings of methods. Those under ``task_settings`` are the papers' for one task, in every profile.

    Attributes:
        learner: Settings for all methods that have them.
        methods_config: Settings by method.
    """

    learner: dict[str, Any] = {}
    methods_config: dict[str, dict[str, Any]] = {}


class Profile(TaskSettings):
    """A budget and a choice of runs.

    Attributes:
        tasks: Ids of the tasks.
        plain_methods: Methods that need no flow.
        flow_methods: Methods that train a flow first.
        only_timed: Tasks on which a method is timed and not run, unless it is asked for by name.
        seeds: Seeds of each task and method.
        unconstrained: Unconstrained tasks that give the upper reference returns of ``tasks``.
        steps: Training budget of a run [environment steps]; by default the published one of each task.
        task_steps: Budgets of tasks that differ from ``steps``.
        evaluation: When and how long policies are evaluated.
        update_at: ``episode``: all updates at the end of an episode, as published; ``step``: one after each step.
        timeout_seconds: Training time limit of a run [s].
        flow_draws: Latents drawn for each share of a report on a flow.
        experiments: Sizes of the experiments.
        timing: Sizes of the timing of training steps.
        ranked: Whether the budget is long enough to rank methods by return.
    """

    tasks: tuple[str, ...]
    plain_methods: tuple[str, ...]
    flow_methods: tuple[str, ...]
    only_timed: dict[str, tuple[str, ...]] = {}
    seeds: tuple[NonNegativeInt, ...]
    unconstrained: tuple[str, ...] = ()
    steps: PositiveInt | None = None
    task_steps: dict[str, PositiveInt] = {}
    evaluation: EvaluationSettings
    update_at: Literal["episode", "step"] = "episode"
    timeout_seconds: PositiveFloat | None = None
    flow_draws: PositiveInt = 1_000_000
    experiments: ExperimentSettings = ExperimentSettings()
    timing: TimingSettings = TimingSettings()
    ranked: bool = True

    @model_validator(mode="after")
    def _each_method_once(self) -> Profile:
        _refuse_repeats(self.methods)
        return self

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods, flows first."""
        return (*self.flow_methods, *self.plain_methods)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Task and method of every run that is asked for, reference runs excluded."""
        every = itertools.product(self.tasks, self.methods)
        return [(task, method) for task, method in every if task not in self.only_timed.get(method, ())]


class Params(Settings):
    """All of params.yaml; ``shared`` only holds YAML anchors."""

    _file: Path | None = None

    shared: Any = None
    task_settings: dict[str, TaskSettings] = {}
    profiles: dict[str, Profile]

    def profile(self, name: str) -> Profile:
        """A profile by name.

        Raises:
            UnknownIdError: If there is no such profile.
        """
        if name not in self.profiles:
            raise UnknownIdError("profile", name, self.profiles)
        return self.profiles[name]


class RunConfig(Settings):
    """The configuration of a run: all that its result depends on besides task, method, versions and seed.

    Attributes:
        steps: Training budget [environment steps].
        evaluation: When and how long the policy is evaluated.
        update_at: ``episode``: all updates at the end of an episode; ``step``: one after each step.
        timeout_seconds: Training time limit [s]; null for none.
        method: The method's own settings.
    """

    steps: PositiveInt
    evaluation: EvaluationSettings
    update_at: Literal["episode", "step"] = "episode"
    timeout_seconds: PositiveFloat | None = None
    method: dict[str, Any]


def _refuse_repeats(values: Sequence[Any]) -> None:
    """Refuse repeated entries: they would be run and counted several times."""
    for value, count in Counter(values).items():
        if count > 1:
            raise ValueError(f"{value} is in it {count} times; leave it there once")


def load_params(path: Path | None = None) -> Params:
    """Read a params.yaml, by default the one that ``find_params`` finds.

    Raises:
        UserError: If it is missing, not YAML, or has an unknown, ill-typed or repeated setting.
    """
    path = path or find_params()
    data = read_yaml(path)
    try:
        params = read_settings(Params, data, str(path))
    except SettingError as error:
        raise SettingError(f"{path}, line {find_line(path, error.path)}", error.path, error.reason) from error
    params._file = path
    return params


def list_profiles() -> list[str]:
    """Names of the profiles in the params.yaml that ``find_params`` finds."""
    return list(load_params().profiles)


def run_config(
    params: Params, profile_name: str, task_id: str, method_id: str, given: Mapping[str, Any] | None = None
) -> RunConfig:
    """Resolve the configuration of a run.

    The method's defaults are overridden by the task's settings, those by the profile's, and those by ``given``.

    Raises:
        UserError: If an id or a setting is unknown.
    """
    profile = params.profile(profile_name)
    make_task(task_id)
    cls = method_class(method_id)
    own = params.task_settings.get(task_id, TaskSettings())
    _check_names(params, profile_name)
    settings: dict[str, Any] = {}
    for level in (own, profile):
        shared = {key: value for key, value in level.learner.items() if key in cls.Config.model_fields}
        settings = merge(merge(settings, shared), level.methods_config.get(method_id, {}))
    try:
        method = parse_config(cls, merge(settings, given or {})).model_dump(mode="json")
    except SettingError as error:
        name, place = error.path[0], ""
        for names, level in ((("task_settings", task_id), own), (("profiles", profile_name), profile)):
            of_method = level.methods_config.get(method_id, {})
            if name in of_method or name in level.learner:
                inner = ("methods_config", method_id) if name in of_method else ("learner",)
                place = where(params, *names, *inner, *error.path)
        raise UserError(f"{'--set: ' if given and name in given else place}{error}") from error
    return config_around(params, profile_name, task_id, method)


def config_around(params: Params, profile_name: str, task_id: str, method: dict[str, Any]) -> RunConfig:
    """The configuration of a run, given its method's settings.

    Raises:
        UnknownIdError: If the profile or task is unknown.
    """
    profile = params.profile(profile_name)
    return RunConfig(
        steps=profile.task_steps.get(task_id, profile.steps or make_task(task_id).steps),
        evaluation=profile.evaluation,
        update_at=profile.update_at,
        timeout_seconds=profile.timeout_seconds,
        method=method,
    )


def recorded_config(config: Mapping[str, Any], method_id: str) -> dict[str, Any]:
    """A recorded configuration, completed by settings that its method has gained since, at their defaults.

    Such a setting changes no earlier run (:func:`methods.base.changed_settings`). The configuration is returned
    unchanged if it has no settings of a method, or if the method is not installed.
    """
    method = config.get("method")
    try:
        defaults = method_class(method_id).Config.model_construct().model_dump(mode="json")
    except UserError:
        return dict(config)
    return {**config, "method": merge(defaults, method)} if isinstance(method, Mapping) else dict(config)


def _check_names(params: Params, profile_name: str) -> None:
    """Refuse settings that would be ignored silently."""
    profile = params.profile(profile_name)
    levels: dict[tuple[str, str], TaskSettings] = {("profiles", profile_name): profile}
    levels |= {("task_settings", task): settings for task, settings in params.task_settings.items()}
    for task in profile.task_steps:
        with located(params, "profiles", profile_name, "task_steps", task):
            make_task(task)
    for method, tasks in profile.only_timed.items():
        with located(params, "profiles", profile_name, "only_timed", method):
            _check_ids("method of the profile", [method], profile.methods)
            _check_ids("task of the profile", tasks, profile.tasks)
    known = {name for method in profile.methods for name in method_class(method).Config.model_fields}
    for names, level in levels.items():
        if names[0] == "task_settings":
            with located(params, *names):
                make_task(names[1])
        for method in level.methods_config:
            with located(params, *names, "methods_config", method):
                method_class(method)
        for name in level.learner:
            with located(params, *names, "learner", name):
                _check_ids("learner setting", [name], known)


def _check_ids(kind: str, given: Iterable[str], known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise UnknownIdError(kind, name, known)


def where(params: Params, *names: str | int) -> str:
    """File and line of an entry, to begin a message; empty if the settings were not read from a file."""
    file = params._file
    return f"{file}, line {find_line(file, names)}: " if file else ""


@contextmanager
def located(params: Params, *names: str) -> Iterator[None]:
    """Prefix user errors raised inside with the file and line of an entry."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where(params, *names)}{error}") from error
