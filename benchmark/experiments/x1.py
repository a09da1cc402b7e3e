"""X1, why the released baseline fails: what the critic believes of actions that are never executed, along training."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from benchmark.experiments.base import Context, Experiment, Measured, describe
from benchmark.experiments.rows import Row, make_frame, mean_row
from benchmark.publishing.figures.styles import add_legend, style_of
from benchmark.publishing.tables.rendering import Column, View, make_cells
from benchmark.records.config import EvaluationSettings, run_config
from benchmark.training.harness import train
from benchmark.training.processes import move_to, progress_bar
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import derive_seed, make_generator
from methods.base import Method
from methods.ddpg import DDPG
from methods.td3 import TD3

TASKS = ("R+L2", "HC+O")
# As released; with the target projected; with the smaller of two critics.
METHODS = ("ddpg-projection", "ddpg-projection-target", "dpro")
KEYS = ["task", "method", "step"]
POINTS = 12
# A state counts if this share of the weight of all rewards to come lies within its episode.
FORESEEN = 0.99
# An output of the tanh beyond this is saturated.
END = 0.99
OVER = "value above return"
PANELS = ("return", f"{OVER}, raw", f"{OVER}, projected", "distance")


def measure(context: Context) -> Measured:
    """Train each row on each task, and look at policy and critic at evenly spaced steps."""
    tasks = [task for task in TASKS if task in context.chosen.tasks]
    if not tasks:
        raise UserError(f"x1 needs one of the tasks {', '.join(TASKS)}: add one to profile {context.profile}")
    rows: list[Row] = []
    for task in map(context.task, tasks):
        for method in METHODS:
            seen = [look_along(context, task, method, seed) for seed in context.chosen.seeds]
            for step in seen[0]:
                for quantity, unit in UNITS.items():
                    row = mean_row(quantity, unit, [found[step][quantity] for found in seen], len(seen))
                    rows.append(row | {"task": task.id, "method": method, "step": step})
    return Measured(make_frame(KEYS, rows))


def look_along(context: Context, task: TaskSpec, method_id: str, seed: int) -> dict[int, dict[str, float]]:
    """What :func:`look` finds, by training step."""
    steps = context.settings.long_steps
    config = run_config(context.params, context.profile, task.id, method_id)
    every = EvaluationSettings(every=max(steps // POINTS, 1), episodes=1, final_episodes=1)
    method = config.method | {"warmup": min(config.method["warmup"], max(steps // 4, 1))}
    config = config.model_copy(update={"steps": steps, "evaluation": every, "method": method})
    found: dict[int, dict[str, float]] = {}

    def witness(step: int, agent: Method[Any]) -> None:
        assert isinstance(agent, DDPG)
        found[step] = look(task, agent, context.settings.states, derive_seed(seed, "x1", task.id))

    with progress_bar(steps, f"{task.id} {method_id} {seed}") as bar:
        train(task, method_id, config, seed, context.folder, move_to(bar), witness=witness)
    return found


def look(task: TaskSpec, agent: DDPG[Any], states: int, seed: int) -> dict[str, float]:
    """The critic's values at what the policy puts out, and what came of it, at so many states of its own episodes."""
    obs, returns, total = rollout(task, agent, states, seed)
    with torch.no_grad():
        output = agent.output(agent.state["actor"], obs.float())
        raw = agent.decode(output, obs.float()).double()
        noise = torch.randn(raw.shape, generator=make_generator(seed, "noise"), dtype=raw.dtype)
        projected = task.constraint.project(raw, obs)
        executed = task.constraint.project(raw + agent.config.noise * noise, obs)
        values = {
            name: value(agent, obs.float(), action) - returns
            for name, action in (("raw", raw), ("projected", projected), ("executed", executed))
        }
    return {
        "return": total,
        **{f"{OVER}, {name}": float(over.mean()) for name, over in values.items()},
        "discounted return": float(returns.mean()),
        "infeasible share": float((~task.constraint.contains(raw, obs)).double().mean()),
        "distance": float(torch.linalg.vector_norm(raw - projected, dim=1).mean()),
        "saturated share": float((output.abs() > END).double().mean()),
    }


UNITS = {
    "return": "reward",
    f"{OVER}, raw": "reward",
    f"{OVER}, projected": "reward",
    f"{OVER}, executed": "reward",
    "discounted return": "reward",
    "infeasible share": "share",
    "distance": "action",
    "saturated share": "share",
}


def value(agent: DDPG[Any], obs: Tensor, action: Tensor) -> Tensor:
    """What the agent bootstraps with: its critic's value (S,), of two critics the smaller."""
    if isinstance(agent, TD3):
        return torch.minimum(*agent.values(agent.state["critics"], obs, action)).squeeze(1).double()
    return agent.value(agent.state["critic"], obs, action).squeeze(1).double()


def rollout(task: TaskSpec, agent: DDPG[Any], states: int, seed: int) -> tuple[Tensor, Tensor, float]:
    """States (S, o) of episodes without noise, their discounted returns (S,), and the mean return of a usual episode.

    A critic's value knows no time limit. So episodes are longer than usual by what it takes to foresee
    ``FORESEEN`` of all that is to come, and states of that last part do not count.
    """
    gamma, usual = agent.config.gamma, task.max_episode_steps
    beyond = next(steps for steps in range(1, 100_000) if gamma**steps < 1 - FORESEEN)
    longer = dataclasses.replace(task, max_episode_steps=usual + beyond)
    rows, ahead, totals = list[Tensor](), list[float](), list[float]()
    with closing(longer.make_env(disable_env_checker=True)) as env:
        episode = 0
        while len(rows) < states:
            observation, _ = env.reset(seed=derive_seed(seed, "episode", episode))
            seen, rewards, ended = list[Tensor](), list[float](), False
            while not ended:
                seen.append(task.observed(observation)[None])
                action = task.constraint.repair(agent.act(seen[-1], explore=False).double(), seen[-1])
                observation, reward, terminated, truncated, _ = env.step(action[0].numpy())
                rewards.append(float(reward))
                ended = terminated or truncated
            counted = len(rewards) if terminated else len(rewards) - beyond
            to_come = list(discounted(rewards, gamma))
            rows += seen[:counted]
            ahead += to_come[:counted]
            totals.append(sum(rewards[:usual]))
            episode += 1
    return torch.cat(rows)[:states], torch.tensor(ahead[:states], dtype=torch.float64), sum(totals) / len(totals)


def discounted(rewards: list[float], gamma: float) -> Iterator[float]:
    """The discounted return from each step on."""
    found, total = list[float](), 0.0
    for reward in reversed(rewards):
        total = reward + gamma * total
        found.append(total)
    return reversed(found)


def caption(context: Context) -> str:
    """See :class:`Experiment`."""
    settings = context.settings
    return (
        f"{describe(context)} {settings.long_steps:,} training steps with the profile's settings, looked at {POINTS} "
        f"times: {settings.states:,} states along episodes of the policy without noise, infeasible actions projected. "
        "Value above return: the critic's value minus the discounted return from that state on, for the action that "
        "the policy puts out (raw), the feasible one nearest to it (projected, which is executed there), and that with "
        "exploration noise (executed in training). A critic that is right has 0 at the projected action. Of two "
        "critics, the smaller value. Distance: from the raw action to the projected one, in the environment's units. "
        f"Saturated: coordinates of the actor's output beyond {END:g} of the tanh. "
        "Mean over seeds; intervals (Student's t) are in the CSV. No tolerance enters but 0 for infeasible."
    )


def views(numbers: pd.DataFrame) -> list[View]:
    """See :class:`Experiment`; at the last step."""
    last = numbers[numbers["step"] == numbers.groupby("task")["step"].transform("max")]
    columns = [Column(f"{name} [%]" if unit == "share" else name, name) for name, unit in UNITS.items()]
    return [View("", make_cells(last, ["task", "method"], columns, "n of N"))]


def draw(measured: Measured) -> Figure:
    """Return, the critic's error at the raw and at the projected action, and distance along training, a row a task."""
    numbers = measured.numbers
    tasks = list(numbers["task"].unique())
    figure = Figure(figsize=(3.4 * len(PANELS), 2.7 * len(tasks) + 0.9), layout="constrained")
    grid = figure.subplots(len(tasks), len(PANELS), squeeze=False, sharex="row")
    for task, panels in zip(tasks, grid, strict=True):
        for quantity, panel in zip(PANELS, panels, strict=True):
            draw_panel(panel, numbers[(numbers["task"] == task) & (numbers["quantity"] == quantity)])
            panel.set_title(f"{task}: {quantity}")
            panel.set_xlabel("training steps")
            if quantity.startswith(OVER):
                panel.set_yscale("symlog", linthresh=10)
                panel.axhline(0, color="black", linewidth=0.8)
    add_legend(figure, list(numbers["method"].unique()))
    return figure


def draw_panel(panel: Axes, rows: pd.DataFrame) -> None:
    """One line a method."""
    for method, curve in rows.groupby("method", sort=False):
        style = style_of(str(method))
        panel.plot(
            curve["step"],
            curve["value"],
            color=style.colour,
            linestyle=style.dashes,
            marker=style.marker,
            markersize=4,
            linewidth=1.6,
        )


EXPERIMENT = Experiment("X1: why the released baseline fails", measure, caption, views, draw)
