"""Training data of conditional flows: contexts like those visited in training, each with one feasible action.

A learning agent moves faster than a random one, so it visits other states. Half of the contexts therefore come from
rollouts that are as varied as feasible actions allow (:func:`rollout_contexts`), and the other half is spread wider
(:func:`widen`). ``acrl visited`` measures how well they cover the states of every run.
"""

from __future__ import annotations

import torch
from torch import Tensor

from envs.constraints.base import Constraint
from envs.errors import NoSampleError
from envs.registry import TaskSpec
from envs.seeding import derive_seed, make_generator

# Raised whenever a change alters the samples, which makes flows trained on them, and their runs, stale.
SAMPLES_VERSION = 1
# Steps that an action is held: the longer, the larger the velocities that build up.
HOLDS = (1, 2, 4, 8, 16)
WIDEST = 2.0


def draw_dataset(task: TaskSpec, train: int, test: int, rollout_steps: int, seed: int) -> dict[str, Tensor]:
    """Contexts (N, k) and feasible actions (N, n), uniform on C(s), float32: a training set and a fresh test set.

    Args:
        task: The task.
        train: Rows of the training set.
        test: Rows of the test set, which has rollouts of its own.
        rollout_steps: Environment steps of each set's rollouts.
        seed: Seed of all randomness.
    """
    dataset: dict[str, Tensor] = {}
    for name, count in (("train", train), ("test", test)):
        generator = make_generator(seed, "dataset", name)
        pairs = draw_pairs(task, count, rollout_steps, derive_seed(seed, "rollouts", name), generator)
        dataset[f"{name}_context"], dataset[f"{name}_action"] = (part.float() for part in pairs)
    return dataset


def draw_pairs(
    task: TaskSpec, count: int, rollout_steps: int, seed: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Contexts (count, k), half from rollouts, half from the same rollouts widened, and an action (count, n) at each.

    If widening leads to a set that is empty or nearly so, a visited context replaces the widened one.
    """
    constraint = task.constraint
    visited = visited_contexts(task, rollout_steps, seed)
    context = draw_contexts(visited, count, generator)
    try:
        return context, constraint.sample(embed(constraint, context), generator)
    except NoSampleError as error:
        rows = torch.randint(len(visited), (len(error.rows),), generator=generator)
        context = context.index_copy(0, error.rows, visited[rows])
        return context, constraint.sample(embed(constraint, context), generator)


def visited_contexts(task: TaskSpec, steps: int, seed: int) -> Tensor:
    """Contexts (steps, k) of :func:`rollout_contexts`; a single empty one if the constraint ignores the state."""
    if not task.constraint.context_indices:
        return torch.empty((1, 0), dtype=torch.float64)
    return rollout_contexts(task, steps, seed)


def draw_contexts(visited: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Contexts (count, k), half of them rows of ``visited``, half of them widened rows."""
    if not visited.shape[1]:
        return visited.expand(count, 0)
    rows = torch.randint(len(visited), (count - count // 2,), generator=generator)
    return torch.cat([visited[rows], widen(visited, count // 2, generator)])


def visited_half(context: Tensor) -> Tensor:
    """The rows of :func:`draw_contexts` that are not widened."""
    return context[: len(context) - len(context) // 2]


def rollout_contexts(task: TaskSpec, steps: int, seed: int) -> Tensor:
    """Contexts (steps, k) along episodes of random feasible actions.

    Every few steps, a direction is drawn and held. Episodes alternate between two kinds of action: the support point of
    C(s) in that direction, as extreme as the constraint allows, and a uniform feasible action.
    """
    generator = make_generator(seed, "actions")
    constraint = task.constraint
    env = task.make_env()
    contexts = []
    episode, done, held = 0, True, 0
    direction = obs = torch.empty(0)
    for _ in range(steps):
        if done:
            observation, _ = env.reset(seed=derive_seed(seed, "episode", episode))
            obs = task.observed(observation)[None]
            episode, held = episode + 1, 0
        if held == 0:
            held = HOLDS[int(torch.randint(len(HOLDS), (1,), generator=generator))]
            direction = torch.randn((1, constraint.dim), generator=generator, dtype=torch.float64)
            uniform = constraint.sample(obs, generator)
        held -= 1
        contexts.append(constraint.context(obs)[0])
        action = constraint.linear_oracle(direction, obs) if episode % 2 else constraint.project(uniform, obs)
        observation, _, terminated, truncated, _ = env.step(action[0].numpy().copy())
        obs = task.observed(observation)[None]
        done = terminated or truncated
    env.close()
    return torch.stack(contexts)


def widen(visited: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Contexts (count, k) whose coordinates come from unrelated rows of ``visited``, scaled by 1/2 to 2 together."""
    shape = (count, visited.shape[1])
    rows = torch.randint(len(visited), shape, generator=generator)
    scale = WIDEST ** (2 * torch.rand((count, 1), generator=generator, dtype=visited.dtype) - 1)
    return visited.gather(0, rows) * scale


def embed(constraint: Constraint, context: Tensor) -> Tensor:
    """Observations (N, o) with the given contexts (N, k) and zeros elsewhere, for calls of the constraint."""
    width = max(constraint.context_indices, default=0) + 1
    obs = torch.zeros((len(context), width), dtype=context.dtype)
    obs[:, list(constraint.context_indices)] = context
    return obs
