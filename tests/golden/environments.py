"""The dynamics of our own simulators, and which numbers of an environment's observations the constraints read."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from envs import list_tasks, make_task
from tests.golden.numbers import Record, summary, uniform
from tests.golden.records import Golden

STEPS = 6
# MuJoCo's own, in double precision, over a few steps.
TOLERANCE = 1e-9


def goldens() -> dict[str, Golden]:
    """An episode of bike sharing in each size and of the portfolio, and steps of every task with a context."""
    made = {f"environments/bikes/{task}": Golden(partial(bikes, task), TOLERANCE) for task in ("BSS-3", "BSS-5")}
    made["environments/portfolio/Portfolio"] = Golden(portfolio, TOLERANCE)
    for task in list_tasks():
        if make_task(task).constraint.context_indices:
            made[f"environments/contexts/{task}"] = Golden(partial(contexts, task), TOLERANCE)
    return made


def bikes(task_id: str) -> Record:
    """A whole episode, some of its actions no allocations."""
    task = make_task(task_id)
    env = task.make_env()
    observation, _ = env.reset(seed=5)
    wanted = 17.5 + 20 * uniform(7, 101, task.constraint.dim).numpy()
    observations, rewards, infos, truncated = [observation], [], [], False
    for action in wanted:
        observation, reward, terminated, truncated, info = env.step(action.astype(np.float32))
        assert not terminated
        observations.append(observation)
        rewards.append(int(reward))
        infos.append([info["unserved"], info["surplus"], info["moved"]])
        if truncated:
            break
    whole = np.array(observations).astype(np.int64)
    assert (whole == np.array(observations)).all()
    found = {"rewards": rewards, "infos": infos[:10], "totals": np.sum(infos, axis=0), "steps": len(rewards)}
    return found | {"observations": whole[:10], "sums": whole.sum(axis=0), "all": summary(whole)}


def portfolio() -> Record:
    """A whole episode, some of its actions no weights that add up to 1."""
    env = make_task("Portfolio").make_env()
    observation, _ = env.reset(seed=5)
    observations, rewards, costs, truncated = [observation], [], [], False
    for action in 0.2 + 0.4 * uniform(7, 101, 8).numpy():
        observation, reward, _, truncated, info = env.step(action.astype(np.float32))
        observations.append(observation)
        rewards.append(float(reward))
        costs.append(info["cost"])
        if truncated:
            break
    return {"rewards": rewards, "costs": costs, "observations": observations[:10], "all": summary(observations)}


def contexts(task_id: str) -> Record:
    """What the constraint reads along a few steps of the simulator, and how far the actions then miss it."""
    task = make_task(task_id)
    env = task.make_env()
    observation, _ = env.reset(seed=5)
    rows, actions = [observation], 1.2 * uniform(7, STEPS, task.constraint.dim)
    for action in actions[:-1]:
        observation, *_ = env.step(action.clamp(-1, 1).numpy())
        rows.append(observation)
    env.close()
    obs = torch.as_tensor(np.stack(rows))
    return {"contexts": task.constraint.context(obs), "violations": task.constraint.violation(actions, obs)}
