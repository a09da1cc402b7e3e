"""X1, the released baseline's target: what critics believe of actions that are never executed, along training.

The critic's value (the smaller one, if there are two) is compared with the discounted return that follows, at three
actions: raw, as the policy outputs it; projected, the nearest feasible action, which is executed in these episodes; and
executed, the projection of the action with exploration noise, as in training. Distance is from raw to projected in the
environment's units. Saturated is the share of coordinates of the actor's output beyond 0.99.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from benchmark.experiments.along import KEYS, Course, draw_along, last, tasks_of
from benchmark.experiments.base import Context, Experiment, Measured, describe
from benchmark.experiments.rows import make_frame
from benchmark.publishing.tables.rendering import Column, View, make_cells
from envs.registry import TaskSpec
from envs.seeding import derive_seed, make_generator
from methods.ddpg import DDPG
from methods.td3 import TD3

TASKS = ("R+L2", "HC+O")
# As released, with a projected target, and with the smaller of two critics.
METHODS = ("ddpg-projection", "ddpg-projection-target", "dpro")
# A state counts if this share of the weight of all future rewards lies within its episode.
FORESEEN = 0.99
# An output of the tanh beyond this is saturated.
END = 0.99
OVER = "value above return"
PANELS = ("return", f"{OVER}, raw", f"{OVER}, projected", "distance")


def measure(context: Context) -> Measured:
    """Train each method on each task, and inspect policy and critic at evenly spaced steps."""
    look_at = partial(look, states=context.settings.states)
    course = Course("x1", context, context.settings.long_steps, look_at, UNITS)
    found = course.follow(tasks_of(context, "x1", TASKS), METHODS)
    return Measured(make_frame(KEYS, course.rows(found)))


def look(task: TaskSpec, agent: DDPG[Any], seed: int, states: int) -> dict[str, float]:
    """The critic's values at the policy's actions, and the returns that followed, at states of its own episodes."""
    obs, returns, total = rollout(task, agent, states, seed)
    with torch.no_grad():
        output = agent.output(agent.state["actor"], obs.float())
        raw = agent.decode(output, obs.float()).double()
        noise = torch.randn(raw.shape, generator=make_generator(seed, "noise"), dtype=raw.dtype)
        projected = task.constraint.project(raw, obs)
        executed = task.constraint.project(raw + agent.config.noise * noise, obs)
        values = {
            name: bootstrapped(agent, obs.float(), action) - returns
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


def bootstrapped(agent: DDPG[Any], obs: Tensor, action: Tensor) -> Tensor:
    """The value (S,) that the agent bootstraps with: its critic's, or the smaller of two critics'."""
    if isinstance(agent, TD3):
        return torch.minimum(*agent.values(agent.state["critics"], obs, action)).squeeze(1).double()
    return agent.value(agent.state["critic"], obs, action).squeeze(1).double()


def rollout(task: TaskSpec, agent: DDPG[Any], states: int, seed: int) -> tuple[Tensor, Tensor, float]:
    """States (S, o) of episodes without noise, their discounted returns (S,), and the mean return of a usual episode.

    A critic does not know the time limit. Episodes are therefore extended until ``FORESEEN`` of the weight of future
    rewards is seen from the usual last state, and states of the extension do not count.
    """
    gamma, usual = agent.config.gamma, task.max_episode_steps
    beyond = next(steps for steps in range(1, 100_000) if gamma**steps < 1 - FORESEEN)
    rows, ahead, totals = list[Tensor](), list[float](), list[float]()
    with closing(task.make_env(disable_env_checker=True, max_episode_steps=usual + beyond)) as env:
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
            counted = min(len(rewards), usual) if terminated else len(rewards) - beyond
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
        f"Return, the critic's error and the policy's outputs after {settings.long_steps:,} training steps, at "
        f"{settings.states:,} states of episodes without noise ({describe(context)}; mean over seeds with 95% "
        "confidence intervals). Value above return is the critic's value minus the discounted return that follows, so "
        "a correct critic has 0 at the projected action, which is the one executed in these episodes."
    )


def views(numbers: pd.DataFrame) -> list[View]:
    """See :class:`Experiment`; at the last step."""
    columns = [Column(f"{name} [%]" if unit == "share" else name, name) for name, unit in UNITS.items()]
    return [View("", make_cells(last(numbers), ["task", "method"], columns, "n of N"))]


def draw(measured: Measured) -> Figure:
    """Return, the critic's error at the raw and the projected action, and distance; one row of panels per task."""
    figure, grid = draw_along(measured.numbers, {quantity: quantity for quantity in PANELS})
    for panel in (panel for panels in grid for panel in panels[1:3]):
        panel.set_yscale("symlog", linthresh=10)
        panel.axhline(0, color="black", linewidth=0.8)
    return figure


EXPERIMENT = Experiment("X1: the released baseline's target", measure, caption, views, draw)
