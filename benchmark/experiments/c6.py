"""C6, zero gradient: how much of the policy gradient passes through an action head, along training.

Passed is the norm of the gradient of Q with respect to the head's input, the actor's output, over its norm with respect
to the action, both in half-widths of the action box. "Before the tanh" is the gradient that reaches the actor's last
layer: a saturated tanh stops the gradient of every head that has one.
"""

from __future__ import annotations

import itertools
import math
import statistics
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor

from benchmark.analysis.statistics import mean_interval
from benchmark.analysis.summaries import SHARE
from benchmark.experiments.along import KEYS, Course, Looks, draw_along, last, tasks_of
from benchmark.experiments.base import Context, Experiment, Measured, describe
from benchmark.experiments.rows import make_frame, make_row
from benchmark.publishing.tables.rendering import Column, View, make_cells
from benchmark.training.evaluation import Evaluator
from envs.registry import TaskSpec
from envs.seeding import derive_seed
from methods.ddpg import DDPG
from methods.functional import by_autograd

TASKS = ("R+L2", "HC+O")
# Methods that learn through their head: the exact projection twice, rays, and the paper's flow.
METHODS = ("ddpg-projection-layer", "dopt", "dalpha", "drad", "flowpg")
# A gradient is lost if less than this share of its norm passes through the head.
LOST = 0.01
SHARES = {"lost share": "lost in the head", "lost share before tanh": "lost before the tanh"}
UNITS = {"median share passed": "ratio", **dict.fromkeys(SHARES, "share")}
ALONG = ", along training"


@dataclass(frozen=True)
class Signal:
    """Gradients of the critic at S states, as Euclidean norms in half-widths of the box.

    Attributes:
        at_action: Norm of dQ/da at the policy's action, (S,).
        at_output: Norm of dQ/du, where u is the actor's output and the head's input, (S,).
        before_tanh: Norm of dQ/dx, where u = tanh x, (S,); that of dQ/du if the output is not a tanh.
    """

    at_action: Tensor
    at_output: Tensor
    before_tanh: Tensor

    def passed(self, norm: Tensor) -> Tensor:
        """A norm as a share of that of dQ/da, at states where the latter is positive: (at most S,)."""
        some = self.at_action > 0
        return norm[some] / self.at_action[some]


def course_of(context: Context) -> Course:
    """Agents to train with the profile's settings, and how to inspect them."""
    return Course("c6", context, context.settings.steps, partial(look, states=context.settings.states), UNITS)


def measure(context: Context) -> Measured:
    """Gradients of every method with a head, at states that its policy visits."""
    course = course_of(context)
    found = course.follow(tasks_of(context, "c6", TASKS), METHODS)
    rows = list(course.rows(found))
    for (task, method), seeds in found.items():
        for quantity in SHARES:
            means = [mean_while_learning(looks, quantity, course.longest_warmup) for looks in seeds]
            row = make_row(quantity + ALONG, "share", mean_interval(means, SHARE), wanted=len(seeds))
            rows.append(row | {"task": task, "method": method, "step": max(seeds[0])})
    return Measured(make_frame(KEYS, rows))


def mean_while_learning(looks: Looks, quantity: str, warmup: int) -> float:
    """Mean over the looks after the warm-up, in which no agent learns; NaN if the critic never has a gradient."""
    values = [look[quantity] for step, look in looks.items() if step > warmup]
    known = [value for value in values if not math.isnan(value)]
    return statistics.fmean(known) if known else math.nan


def look(task: TaskSpec, agent: DDPG[Any], seed: int, states: int) -> dict[str, float]:
    """How much passes through the head at states that the policy visits, and where it is lost."""
    return shares(actor_signal(agent, rollout(task, agent, states, seed)))


def rollout(task: TaskSpec, agent: DDPG[Any], count: int, seed: int) -> Tensor:
    """Observations (count, o), float64, of episodes without noise, with infeasible actions repaired."""
    rows, episodes = list[Tensor](), itertools.count()
    with closing(Evaluator(task)) as evaluator:
        while len(rows) < count:
            seeds = [derive_seed(seed, "episode", next(episodes))]
            evaluator.evaluate(agent, 0, seeds, lambda _, obs: rows.append(obs))
    return torch.cat(rows[:count])


def actor_signal(agent: DDPG[Any], obs: Tensor) -> Signal:
    """The gradient of Q at the policy's actions for observations (S, o), and how much passes through the head."""
    output = agent.output(agent.state["actor"], obs.float())

    def value(action: Tensor) -> Tensor:
        # The gradient of a sum over states holds each state's own gradient.
        return agent.climbed(agent.state, obs.float(), action).sum()

    (at_action,), _ = by_autograd(lambda actions: value(actions[0]), [agent.decode(output, obs.float())])
    (at_output,), _ = by_autograd(lambda outputs: value(agent.decode(outputs[0], obs.float())), [output])
    # In the precision of training, where a saturated tanh has slope 0.
    slope = 1 - output.square() if agent.head.squashed else torch.ones(())
    return Signal(norm(at_action * agent.action_half), norm(at_output), norm(at_output * slope))


def norm(rows: Tensor) -> Tensor:
    """Euclidean norms (S,), float64."""
    lengths: Tensor = torch.linalg.vector_norm(rows.double(), dim=1)
    return lengths


def shares(signal: Signal) -> dict[str, float]:
    """The quantities of one look."""
    passed, before = signal.passed(signal.at_output), signal.passed(signal.before_tanh)
    lost = [float((some < LOST).double().mean()) for some in (passed, before)]
    return dict(zip(UNITS, (float(passed.median()), *lost), strict=True))


def caption(context: Context) -> str:
    """See :class:`Experiment`."""
    settings = context.settings
    return (
        f"Share of the policy gradient that passes from the action back through the action head, over "
        f"{settings.steps:,} training steps ({describe(context)}; mean over seeds with 95% confidence intervals). "
        f"Passed is the median over {settings.states:,} states that the policy visits, and lost the share of these "
        f"states where less than {LOST:.0%} passes, at the last step or on average along training, without the warm-up."
    )


def views(numbers: pd.DataFrame) -> list[View]:
    """See :class:`Experiment`; at the last step."""
    columns = [Column("passed", "median share passed")]
    for quantity, title in SHARES.items():
        columns += [Column(f"{title} [%]", quantity), Column(f"{title}{ALONG} [%]", quantity + ALONG)]
    return [View("", make_cells(last(numbers), ["task", "method"], columns, "n of N"))]


def draw(measured: Measured) -> Figure:
    """The share that passes, and the states where the gradient is lost, along training; one row of panels per task."""
    titles = {"median share passed": "share passed, median"}
    titles |= {quantity: f"states, {title}" for quantity, title in SHARES.items()}
    figure, grid = draw_along(measured.numbers, titles)
    for panel in (panel for panels in grid for panel in panels[1:]):
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        panel.set_ylim(-0.03, 1.03)
    return figure


EXPERIMENT = Experiment("C6: whether the policy gradient vanishes", measure, caption, views, draw)
