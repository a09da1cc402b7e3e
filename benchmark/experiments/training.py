"""Agents that experiments train themselves, and stretches of the training of runs."""

from __future__ import annotations

import itertools
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmark.experiments.base import Context
from benchmark.records.config import EvaluationSettings, RunConfig, run_config
from benchmark.records.selection import CompleteRun
from benchmark.training.harness import VISITED_STATES, train
from benchmark.training.processes import progress_bar
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import derive_seed
from methods.ddpg import DDPG


def agent_config(context: Context, task: TaskSpec, method_id: str) -> RunConfig:
    """The profile's settings at the experiment's budget: few steps, at most a quarter warm-up, one evaluation."""
    config, steps = run_config(context.params, context.profile, task.id, method_id), context.settings.steps
    once = EvaluationSettings(every=steps, episodes=1, final_episodes=1)
    method = config.method | {"warmup": min(config.method["warmup"], max(steps // 4, 1))}
    return config.model_copy(update={"steps": steps, "evaluation": once, "method": method})


def train_agent(context: Context, task: TaskSpec, method_id: str, seed: int) -> DDPG[Any]:
    """An agent after ``experiments.steps`` steps of training by the harness.

    Raises:
        UserError: If the method's flow is missing or stale, or training fails.
    """
    config = agent_config(context, task, method_id)
    # Asked for first: the harness would train a flow that is missing.
    agent = context.method(task, method_id, config.method, seed)
    with progress_bar(config.steps, f"{task.id} {method_id} {seed}") as bar:

        def progress(step: int) -> None:
            bar.update(step - bar.n)

        outcome = train(task, method_id, config, seed, context.folder, progress)
    agent.load_state_dict(outcome.state)
    assert isinstance(agent, DDPG)
    return agent


def rollout(task: TaskSpec, agent: DDPG[Any], count: int, seed: int) -> Tensor:
    """Observations (count, o), float64, along episodes of the policy, without noise, infeasible actions repaired."""
    rows: list[Tensor] = []
    done, episode = True, 0
    with closing(task.make_env(disable_env_checker=True)) as env:
        for _ in range(count):
            if done:
                observation, _ = env.reset(seed=derive_seed(seed, "episode", episode))
                episode += 1
            obs = torch.as_tensor(observation, dtype=torch.float64)[None]
            rows.append(obs)
            action = task.constraint.repair(agent.act(obs, explore=False).double(), obs)
            observation, _, terminated, truncated, _ = env.step(action[0].numpy())
            done = terminated or truncated
    return torch.cat(rows)


@dataclass(frozen=True)
class Stretch:
    """The steps ``start + 1`` to ``end`` of a run.

    Attributes:
        judged: Outputs of the policy; none in the warm-up, where it has no say.
        violating: Those with a positive summed violation (tolerance 0).
    """

    start: int
    end: int
    judged: int
    violating: int


def stretches_of(run: CompleteRun, most: int | None = None) -> list[Stretch]:
    """The run cut at its evaluations, or at those nearest to equal parts where there are more than ``most``.

    Raises:
        UserError: If the run's curves have not got what is needed.
    """
    curves, total = run.record.curves, run.steps
    steps, counts = curves.get("step", []), curves.get("violations/policy", [])
    known = {int(s): int(c) for s, c in zip(steps, counts, strict=False) if s is not None and c is not None}
    if total not in known or len(steps) != len(counts):
        name = f"{run.record.task} {run.record.method} seed {run.record.seed}"
        raise UserError(f"the run {name} has no curve of violations up to its last step; run it again")
    ends = sorted(known)
    if most is not None and len(ends) > most:
        ends = sorted({min(ends, key=lambda step: abs(step - total * part / most)) for part in range(1, most + 1)})
    # Every step but those of the warm-up was judged.
    silent = total - run.violations.policy.n
    return [
        Stretch(start, end, max(end - max(start, silent), 0), known[end] - known.get(start, 0))
        for start, end in itertools.pairwise([0, *ends])
    ]


def visited_in(run: CompleteRun, stretch: Stretch) -> list[list[float]]:
    """Contexts of the states that a run visited in a stretch, of those that its record holds."""
    every = max(1, run.steps // VISITED_STATES)
    steps = (1 + index * every for index in range(len(run.record.visited)))
    return [row for step, row in zip(steps, run.record.visited, strict=True) if stretch.start < step <= stretch.end]
