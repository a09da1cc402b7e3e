"""Agents that are trained with a profile's settings and inspected along the way, for X1 and C6."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.analysis.statistics import UNBOUNDED, mean_interval
from benchmark.analysis.summaries import SHARE
from benchmark.experiments.base import Context
from benchmark.experiments.rows import Row, make_row
from benchmark.publishing.figures.styles import add_legend, style_of
from benchmark.records.config import EvaluationSettings, run_config
from benchmark.training.harness import train
from benchmark.training.processes import side_by_side
from benchmark.training.progress import move_to, progress_bar
from envs.errors import UserError
from envs.registry import TaskSpec, make_task
from envs.seeding import derive_seed
from methods.base import Method, make_method
from methods.ddpg import DDPG

KEYS = ["task", "method", "step"]
# Inspects an agent on a task, given a seed, and returns the value of each quantity.
Look = Callable[[TaskSpec, DDPG[Any], int], Mapping[str, float]]
# The values of all quantities, by training step.
Looks = Mapping[int, Mapping[str, float]]


def tasks_of(context: Context, name: str, tasks: Sequence[str]) -> list[TaskSpec]:
    """The tasks of an experiment that are in the profile.

    Raises:
        UserError: If the profile has none of them.
    """
    found = [context.task(task) for task in tasks if task in context.chosen.tasks]
    if not found:
        raise UserError(f"{name} needs one of the tasks {', '.join(tasks)}: add one to profile {context.profile}")
    return found


@dataclass(frozen=True)
class Course:
    """Agents to train and how to inspect them.

    Attributes:
        name: Name of the experiment.
        context: Settings and results of the profile.
        steps: Training steps of each agent, of which at most a quarter are warm-up.
        look: Inspects an agent.
        units: Unit of each quantity.
    """

    name: str
    context: Context
    steps: int
    look: Look
    units: Mapping[str, str]

    def follow(self, tasks: Sequence[TaskSpec], methods: Sequence[str]) -> dict[tuple[str, str], list[Looks]]:
        """Train and inspect agents: the values by task and method, with one entry per seed of the profile.

        Raises:
            UserError: If a method's flow is missing or stale, or training fails.
        """
        rows = [(task.id, method) for task in tasks for method in methods]
        # Flows are asked for first: the harness would train a missing one.
        for task, method in rows:
            config = run_config(self.context.params, self.context.profile, task, method)
            spec = make_task(task)
            make_method(method, spec, config.method, seed=0).prepare(self.context.kept(spec))
        cells = [(*row, seed) for row in rows for seed in self.context.chosen.seeds]
        seen = side_by_side(self.follow_one, cells, self.context.jobs, "agent")
        found: dict[tuple[str, str], list[Looks]] = {row: [] for row in rows}
        for (task, method, _), looks in zip(cells, seen, strict=True):
            found[task, method].append(looks)
        return found

    @property
    def longest_warmup(self) -> int:
        """Steps after which every agent has begun to learn."""
        return max(self.steps // 4, 1)

    def follow_one(self, cell: tuple[str, str, int]) -> Looks:
        """Train one agent and inspect it at equal intervals."""
        task_id, method_id, seed = cell
        context, task = self.context, make_task(task_id)
        config = run_config(context.params, context.profile, task_id, method_id)
        every = EvaluationSettings(every=math.ceil(self.steps / context.settings.looks), episodes=1, final_episodes=1)
        method = config.method | {"warmup": min(config.method["warmup"], self.longest_warmup)}
        config = config.model_copy(update={"steps": self.steps, "evaluation": every, "method": method})
        looks: dict[int, Mapping[str, float]] = {}

        def witness(step: int, agent: Method[Any]) -> None:
            assert isinstance(agent, DDPG)
            looks[step] = self.look(task, agent, derive_seed(seed, self.name, task_id))

        with progress_bar(self.steps, f"{task_id} {method_id} {seed}") as bar:
            train(task, method_id, config, seed, context.folder, move_to(bar), witness=witness)
        return looks

    def rows(self, found: Mapping[tuple[str, str], Sequence[Looks]]) -> Iterator[Row]:
        """One row per task, method, step and quantity: its mean over seeds."""
        for (task, method), seeds in found.items():
            for step in seeds[0]:
                for quantity, unit in self.units.items():
                    bounds = SHARE if unit == "share" else UNBOUNDED
                    mean = mean_interval([looks[step][quantity] for looks in seeds], bounds)
                    row = make_row(quantity, unit, mean, wanted=len(seeds))
                    yield row | {"task": task, "method": method, "step": step}


def last(numbers: pd.DataFrame) -> pd.DataFrame:
    """The rows of each task's last step."""
    return numbers[numbers["step"] == numbers.groupby("task")["step"].transform("max")]


def draw_along(numbers: pd.DataFrame, quantities: Mapping[str, str]) -> tuple[Figure, list[list[Axes]]]:
    """Quantities against steps: one row of panels per task, one line per method; ``quantities`` has their titles."""
    tasks = list(numbers["task"].unique())
    figure = Figure(figsize=(3.4 * len(quantities), 2.7 * len(tasks) + 0.9), layout="constrained")
    grid = figure.subplots(len(tasks), len(quantities), squeeze=False, sharex="row")
    for task, panels in zip(tasks, grid, strict=True):
        for (quantity, title), panel in zip(quantities.items(), panels, strict=True):
            _draw_panel(panel, numbers[(numbers["task"] == task) & (numbers["quantity"] == quantity)])
            panel.set_title(f"{task}: {title}")
            panel.set_xlabel("training steps")
    add_legend(figure, list(numbers["method"].unique()))
    return figure, [list(panels) for panels in grid]


def _draw_panel(panel: Axes, rows: pd.DataFrame) -> None:
    for method, curve in rows.groupby("method", sort=False):
        style = style_of(str(method))
        line = panel.plot(curve["step"], curve["value"], color=style.colour, linestyle=style.dashes, linewidth=1.6)
        line[0].set(marker=style.marker, markersize=4)
