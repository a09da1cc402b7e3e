"""Agents trained for an experiment, and the states that they lead to."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import torch
from torch import Tensor

from benchmark.experiments.base import Context
from benchmark.records.config import EvaluationSettings, RunConfig, run_config
from benchmark.training.executors.processes import progress_bar
from benchmark.training.harness import train
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
