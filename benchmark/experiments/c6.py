"""C6, zero gradient: how much of the policy gradient reaches the actor, with a projection, a flow, or neither."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from benchmark.experiments.base import Context, Experiment, Measured, describe
from benchmark.experiments.rows import Row, make_frame, mean_row
from benchmark.publishing.figures.styles import style_of
from benchmark.publishing.tables.rendering import Column, View, make_cells
from benchmark.records.config import EvaluationSettings, run_config
from benchmark.training.evaluation import Evaluator
from benchmark.training.harness import train
from benchmark.training.processes import move_to, progress_bar
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import derive_seed
from methods.base import make_method
from methods.ddpg import DDPG
from methods.functional import by_autograd
from methods.nfw import NFW

TASKS = ("R+L2", "HC+O")
LAYER, OWN, REGRESSION = "ddpg-projection-layer", "ddpg-projection", "nfw-target"
# A norm below this, relative to the median norm of dQ/da, is no gradient: it is far below what Adam could tell from
# the noise of a batch, and far above the rounding of double precision.
VANISHING = 1e-8
KEYS = ["task", "method"]


@dataclass(frozen=True)
class Signal:
    """What the actor learns from at some states, one entry a state.

    Attributes:
        norm: Norm of the gradient with respect to the actor's tanh output, (S,).
        before_tanh: The same with respect to what goes into the tanh, (S,).
        at_action: Norm of dQ/da at the action that the critic sees, in half-widths of the action box, (S,); None where
            the actor learns from a distance.
    """

    norm: Tensor
    before_tanh: Tensor
    at_action: Tensor | None

    @property
    def scale(self) -> float:
        """What a norm is compared with: the median of dQ/da, or a half-width of the action box for a distance."""
        return 1.0 if self.at_action is None else float(self.at_action.median())

    def vanishing(self, norm: Tensor) -> float:
        """Share of norms that are as good as 0."""
        return float((norm <= VANISHING * self.scale).double().mean())


def measure(context: Context) -> Measured:
    """Gradients of every kind of policy, at states that the trained policy visits itself."""
    tasks = [task for task in TASKS if task in context.chosen.tasks]
    if not tasks:
        raise UserError(f"c6 needs one of the tasks {', '.join(TASKS)}: add one to profile {context.profile}")
    rows: list[Row] = []
    marks: list[pd.DataFrame] = []
    for task in map(context.task, tasks):
        for name in (LAYER, OWN, *context.chosen.flow_methods, REGRESSION):
            found = []
            for seed in context.chosen.seeds:
                agent = train_agent(context, task, name, seed)
                obs = rollout(task, agent, context.settings.states, derive_seed(seed, "c6", task.id))
                found.append(actor_signal(agent, obs))
            rows += [row | {"task": task.id, "method": name} for row in signal_rows(found)]
            norms = torch.cat([signal.norm for signal in found]).numpy()
            marks.append(pd.DataFrame({"task": task.id, "method": name, "norm": norms}))
    return Measured(make_frame(KEYS, rows), pd.concat(marks, ignore_index=True))


def train_agent(context: Context, task: TaskSpec, method_id: str, seed: int) -> DDPG[Any]:
    """An agent after ``experiments.steps`` steps of training by the harness, at most a quarter of them warm-up.

    Raises:
        UserError: If the method's flow is missing or stale, or training fails.
    """
    config, steps = run_config(context.params, context.profile, task.id, method_id), context.settings.steps
    once = EvaluationSettings(every=steps, episodes=1, final_episodes=1)
    method = config.method | {"warmup": min(config.method["warmup"], max(steps // 4, 1))}
    config = config.model_copy(update={"steps": steps, "evaluation": once, "method": method})
    agent = make_method(method_id, task, config.method, seed)
    # Asked for first: the harness would train a flow that is missing.
    agent.prepare(context.kept(task))
    with progress_bar(steps, f"{task.id} {method_id} {seed}") as bar:
        outcome = train(task, method_id, config, seed, context.folder, move_to(bar))
    agent.load_state_dict(outcome.state)
    assert isinstance(agent, DDPG)
    return agent


def rollout(task: TaskSpec, agent: DDPG[Any], count: int, seed: int) -> Tensor:
    """Observations (count, o), float64, along episodes of the policy, without noise, infeasible actions repaired."""
    rows, episodes = list[Tensor](), itertools.count()
    with closing(Evaluator(task)) as evaluator:
        while len(rows) < count:
            seeds = [derive_seed(seed, "episode", next(episodes))]
            evaluator.evaluate(agent, 0, seeds, lambda _, obs: rows.append(obs))
    return torch.cat(rows[:count])


def actor_signal(agent: DDPG[Any], obs: Tensor) -> Signal:
    """What a method's own loss tells its actor, for observations (S, o)."""
    output = agent.output(agent.state["actor"], obs.float())
    (gradient,), _ = by_autograd(
        # The loss is a mean over states: times their number, it is each state's own gradient.
        lambda outputs: agent.actor_loss(outputs[0], agent.state, obs.float(), by_autograd) * len(obs),
        [output],
    )
    # Of the tanh that gave the output, in the precision of training.
    slope = 1 - output.square()
    # The actor of NFW learns from a distance, which no gradient of Q is to be compared with.
    at_action = None if isinstance(agent, NFW) else critic_gradient(agent, obs, agent.policy(obs.float()))
    return Signal(norm(gradient), norm(gradient * slope), at_action)


def critic_gradient(agent: DDPG[Any], obs: Tensor, action: Tensor) -> Tensor:
    """Norm (S,) of dQ/da at actions (S, n), in half-widths of the action box."""
    (gradient,), _ = by_autograd(
        lambda actions: agent.value(agent.state["critic"], obs.float(), actions[0]).sum(), [action]
    )
    return norm(gradient * agent.action_half)


def norm(rows: Tensor) -> Tensor:
    """Euclidean norms (S,), float64."""
    lengths: Tensor = torch.linalg.vector_norm(rows.double(), dim=1)
    return lengths


def signal_rows(found: list[Signal]) -> Iterator[Row]:
    """The rows of one task and method: means over seeds of what each seed's states give."""
    seeds = len(found)
    yield mean_row("median norm", "gradient", [float(signal.norm.median()) for signal in found], seeds)
    kept = [float(signal.norm.median()) / signal.scale for signal in found if signal.at_action is not None]
    yield mean_row("relative norm", "ratio", kept, seeds)
    yield mean_row("vanishing share", "share", [signal.vanishing(signal.norm) for signal in found], seeds)
    saturated = [signal.vanishing(signal.before_tanh) for signal in found]
    yield mean_row("vanishing share before tanh", "share", saturated, seeds)


def caption(context: Context) -> str:
    """See :class:`Experiment`."""
    settings = context.settings
    return (
        f"{describe(context)} Agents trained for {settings.steps:,} steps each, at most a quarter of them warm-up, "
        f"with the profile's settings; then {settings.states:,} states along episodes of the trained policy, no noise. "
        "Norm: Euclidean norm, at each state, of the gradient of Q with respect to the actor's tanh output; median "
        "over states. Relative: to the median norm of dQ/da, in half-widths of the action box, at the action that the "
        f"critic is given. Vanishing: a norm below {VANISHING:g} times that median; before tanh: the same with the "
        "factor 1 - u² of the tanh, as in single precision, in which a saturated actor's is 0. "
        f"{OWN}: the gradient at the actor's own output, wherever that lies. {LAYER}: trained through the exact "
        f"projection, and its gradient taken through it. {REGRESSION} learns from a distance: its norm is that of the "
        "gradient of its squared distance, does not compare with the others, and vanishes relative to a half-width of "
        "the action box. Mean over seeds with its 95% interval (Student's t); no tolerance enters."
    )


def views(numbers: pd.DataFrame) -> list[View]:
    """See :class:`Experiment`."""
    columns = [
        Column("median norm", "median norm"),
        Column("relative", "relative norm"),
        Column("vanishing [%]", "vanishing share"),
        Column("vanishing before tanh [%]", "vanishing share before tanh"),
    ]
    return [View("", make_cells(numbers, KEYS, columns, "n of N"))]


def draw(measured: Measured) -> Figure:
    """Distribution of the norms over states and seeds, a panel a task; norms of 0 in a column of their own."""
    tasks, methods = list(measured.marks["task"].unique()), list(measured.marks["method"].unique())
    figure = Figure(figsize=(4.4 * len(tasks) + 1.6, 0.55 * len(methods) + 1.9), layout="constrained")
    panels = figure.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
    for task, panel in zip(tasks, panels, strict=True):
        marks = measured.marks[measured.marks["task"] == task]
        draw_panel(panel, marks, methods)
        panel.set_title(task)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].set_ylim(len(methods) - 0.5, -0.5)
    figure.suptitle(
        "What the actor learns from, at each state\n"
        "(bars: how many; line: smallest to largest; black: median; right: share of norms that are 0)"
    )
    return figure


def draw_panel(panel: Axes, marks: pd.DataFrame, methods: list[str]) -> None:
    """One violin a method on a logarithmic axis, as a histogram that is mirrored, with a line from end to end."""
    positive = np.log10(marks.loc[marks["norm"] > 0, "norm"])
    edges = np.linspace(positive.min() - 0.1, positive.max() + 0.1, 61)
    for row, method in enumerate(methods):
        norms = marks.loc[marks["method"] == method, "norm"].to_numpy()
        logs = np.log10(norms[norms > 0])
        heights, _ = np.histogram(logs, edges)
        colour = style_of(method).colour
        half = 0.4 * heights / max(heights.max(), 1)
        panel.bar(edges[:-1], 2 * half, np.diff(edges), row - half, align="edge", color=colour, linewidth=0)
        if len(logs):
            # A bin of a few states in thousands is too low to be seen, and the axis reaches as far as they do.
            panel.plot([logs.min(), logs.max()], [row, row], color=colour, linewidth=1.2, marker="|", markersize=6)
            middle = float(np.median(logs))
            panel.plot([middle, middle], [row - 0.4, row + 0.4], color="black", linewidth=1)
        zeros, beside = f"{np.mean(norms == 0):.1%}", panel.get_yaxis_transform()
        panel.text(1.01, row, zeros, va="center", fontsize=9, transform=beside)
    panel.grid(visible=False, axis="y")
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    panel.xaxis.set_major_formatter(lambda power, _: f"$10^{{{power:g}}}$")
    panel.set_xlabel("norm (logarithmic)")


EXPERIMENT = Experiment("C6: whether the policy gradient vanishes", measure, caption, views, draw)
