"""Profiles and settings: ``params.yaml`` checked, and the full configuration of one run resolved from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
    """Base of everything read from params.yaml: unknown names are refused, and so are lists with repeats."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _without_repeats(cls, value: Any) -> Any:
        if isinstance(value, tuple):
            _refuse_repeats(value)
        return value


class EvaluationSettings(Settings):
    """When and how the policy is evaluated: every so many steps, and once more at the end.

    Attributes:
        every: Training steps between evaluations.
        episodes: Episodes of each.
        final_episodes: Episodes of the last one, and of the best policy's.
        judged_steps: Least number of steps at which the last policy's raw output is judged; episodes are added to
            those of the last evaluation until there are so many.
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
        factors: What thresholds are multiplied by.
        rollout_steps: Environment steps behind a fresh set of states.
        samples: Samples drawn by each sampler, each time.
        repeats: How often a sampler's speed is taken.
        dimensions: Action dimensions at which samplers are compared.
        shares: Shares of the action box that are feasible.
        constraints: Numbers of half-spaces.
        zones: Numbers of zones of an allocation.
        limit_seconds: A sampler that would take longer is given up, and its cost is estimated.
        steps: Training steps of each agent that an experiment trains itself.
        long_steps: The same of experiment X1, whose agents have to learn something.
        looks: How often an agent is looked at along its training.
        states: States at which actor and critic are looked at.
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
        steps: Training steps of a round.
        rounds: How often each method has its turn.
    """

    steps: PositiveInt = 500
    rounds: PositiveInt = 5


class TaskSettings(Settings):
    """Settings of methods; those that ``task_settings`` has for one task are the papers', whatever the profile.

    Attributes:
        learner: Settings shared by all methods that have them.
        methods_config: Settings of single methods.
    """

    learner: dict[str, Any] = {}
    methods_config: dict[str, dict[str, Any]] = {}


class Profile(TaskSettings):
    """A budget and a choice of runs.

    Attributes:
        plain_methods: Methods that need no flow.
        flow_methods: Methods that train a flow first.
        unconstrained: Tasks without a constraint whose returns those of ``tasks`` are measured by.
        steps: Environment steps of a run; left out: the published budget of each task.
        task_steps: Steps of single tasks that differ from ``steps``.
        update_at: Whether the updates of an episode are made at its end, as published, or after each step.
        timeout_seconds: Training time after which a run is given up.
        experiments: Sizes of the experiments.
        timing: Sizes of the timing of training steps.
        ranked: Whether the budget is long enough to rank methods by return.
    """

    tasks: tuple[str, ...]
    plain_methods: tuple[str, ...]
    flow_methods: tuple[str, ...]
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


class Params(Settings):
    """The whole of params.yaml; ``shared`` only holds YAML anchors."""

    _file: Path | None = None

    shared: Any = None
    task_settings: dict[str, TaskSettings] = {}
    profiles: dict[str, Profile]

    def profile(self, name: str) -> Profile:
        """A profile by name.

        Raises:
            UnknownIdError: If there is none of this name.
        """
        if name not in self.profiles:
            raise UnknownIdError("profile", name, self.profiles)
        return self.profiles[name]


class RunConfig(Settings):
    """Everything that one run's result depends on besides task, method, versions and seed."""

    steps: PositiveInt
    evaluation: EvaluationSettings
    update_at: Literal["episode", "step"] = "episode"
    timeout_seconds: PositiveFloat | None = None
    method: dict[str, Any]


def _refuse_repeats(values: Sequence[Any]) -> None:
    """Refuse what would be run and counted several times."""
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
    """The configuration of a run: the method's defaults, the task's, the profile's, and settings given for one run.

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
    """The configuration of a run whose method has these settings.

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
    """A recorded configuration with the settings that its method has got since, at their defaults.

    Such a setting changes no earlier run (:func:`methods.base.changed_settings`). What has no settings of a method, or
    is of one that is not installed here, is given back as it is.
    """
    method = config.get("method")
    try:
        defaults = method_class(method_id).Config.model_construct().model_dump(mode="json")
    except UserError:
        return dict(config)
    return {**config, "method": merge(defaults, method)} if isinstance(method, Mapping) else dict(config)


def _check_names(params: Params, profile_name: str) -> None:
    """Refuse settings that would be ignored in silence."""
    profile = params.profile(profile_name)
    levels: dict[tuple[str, str], TaskSettings] = {("profiles", profile_name): profile}
    levels |= {("task_settings", task): settings for task, settings in params.task_settings.items()}
    for task in profile.task_steps:
        with located(params, "profiles", profile_name, "task_steps", task):
            make_task(task)
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
                if name not in known:
                    raise UnknownIdError("learner setting", name, known)


def where(params: Params, *names: str | int) -> str:
    """File and line of an entry, as the beginning of a message; empty where they were read from no file."""
    file = params._file
    return f"{file}, line {find_line(file, names)}: " if file else ""


@contextmanager
def located(params: Params, *names: str) -> Iterator[None]:
    """Put file and line of an entry before what a user's error inside says."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where(params, *names)}{error}") from error
