"""How the cost of a training step grows: with the action's dimension, the batch, and the number of constraints.

Run ``python -m benchmarks.scaling [--steps N] [--rounds N]`` on a machine that does nothing else. Every cell is the
median over rounds of a step's milliseconds, the environment's included; rounds go through all sizes of a method before
the next, so that a change of the machine's speed falls on all. Dimension and number of constraints are chosen on
made-up tasks whose environment costs next to nothing: ``sum_i |w_i a_i| <= n / 2`` with the state's weights (about half
of the box is feasible), and half-spaces in random directions, which have no projection of their own and go through
cvxpy. Batches are those of HC+O.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tabulate
import torch
from gymnasium.spaces import Box

from benchmark.experiments.n2 import random_polytope
from benchmark.records.config import EvaluationSettings, RunConfig, load_params
from benchmark.records.yaml import merge
from benchmark.training.timing import SHORT_SETTINGS, time_round
from envs import make_task
from envs.constraints import Constraint, WeightedL1
from envs.registry import TaskSpec, register_task
from envs.seeding import make_generator
from methods.base import method_class

METHODS = ("ddpg-penalty", "ddpg-projection", "ddpg-projection-qp", "nfw-target", "flowpg", "flowpg-gauge")
# The oracle of a set without a formula is a solver call for every row of the batch: NFW would be all solver.
POLYTOPE_METHODS = ("ddpg-penalty", "ddpg-projection", "flowpg")
DIMENSIONS = (2, 4, 8, 16, 32, 64)
BATCHES = (16, 64, 256, 1024)
CONSTRAINTS = (1, 4, 16, 64)
POLYTOPE_DIM = 8
# Of every face from 0: with 64 of them about a third of the box is feasible.
DISTANCE = 1.2
EPISODE = 50


class Drift(gymnasium.Env[Any, Any]):
    """Observations drawn anew at every step from [0.9, 1.1]^n; the reward is that of small actions."""

    def __init__(self, dim: int) -> None:
        self.observation_space = Box(0.9, 1.1, (dim,), np.float64)
        self.action_space = Box(-1.0, 1.0, (dim,), np.float64)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See ``gymnasium.Env``."""
        super().reset(seed=seed, options=options)
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """See ``gymnasium.Env``."""
        return self._observe(), -float(np.square(action).sum()), False, False, {}

    def _observe(self) -> Any:
        return self.np_random.uniform(0.9, 1.1, self.observation_space.shape)


def made_up(name: str, constraint: Constraint) -> TaskSpec:
    """A task with this constraint."""
    return register_task(
        TaskSpec(
            id=name,
            version=0,
            env_id="Drift",
            entry_point="benchmarks.scaling:Drift",
            constraint=constraint,
            steps=1,
            max_episode_steps=EPISODE,
            source="",
            notes="",
            env_kwargs={"dim": constraint.dim},
        )
    )


def run_settings(method: str, **over: Any) -> RunConfig:
    """Profile small's networks and batches but for ``over``, learning from the first step on."""
    own = load_params().profile("small").methods_config.get(method, {})
    known = merge(method_class(method).Config().model_dump(mode="json"), own)
    short = {name: value for name, value in {**SHORT_SETTINGS, "replay_size": 20_000}.items() if name in known}
    once = EvaluationSettings(every=1, episodes=1, final_episodes=1)
    settings = merge(known, {**short, **over})
    return RunConfig(steps=1, evaluation=once, update_at="episode", timeout_seconds=None, method=settings)


def table(
    head: str,
    sizes: Sequence[int],
    methods: Sequence[str],
    cell: Callable[[int], tuple[TaskSpec, Mapping[str, Any]]],
    steps: int,
    rounds: int,
) -> None:
    """Print milliseconds a step, a row a method and a column a size."""
    cells = {size: cell(size) for size in sizes}
    rows = []
    for method in methods:
        found: dict[int, list[float]] = {size: [] for size in sizes}
        with tempfile.TemporaryDirectory() as folder:
            for number in range(rounds + 1):
                for size, (task, over) in cells.items():
                    one = time_round(task, method, run_settings(method, **over), steps, Path(folder))
                    # The first round compiles and prepares.
                    found[size] += [1000 * one.step] if number else []
        rows.append([method, *(f"{statistics.median(found[size]):.2f}" for size in sizes)])
    print(tabulate.tabulate(rows, [head, *map(str, sizes)], tablefmt="github", disable_numparse=True), end="\n\n")
    sys.stdout.flush()


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="How the cost of a training step grows.")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cross = {
        dim: made_up(f"Cross{dim}", WeightedL1(dim / 2, -np.ones(dim), np.ones(dim), range(dim))) for dim in DIMENSIONS
    }
    faces = {
        count: made_up(
            f"Faces{count}", random_polytope(POLYTOPE_DIM, count, DISTANCE, make_generator(0, "faces", count))
        )
        for count in CONSTRAINTS
    }
    cheetah = make_task("HC+O")
    table("action dimension, ms a step", DIMENSIONS, METHODS, lambda dim: (cross[dim], {}), given.steps, given.rounds)
    table("batch, ms a step", BATCHES, METHODS, lambda b: (cheetah, {"batch_size": b}), given.steps, given.rounds)
    table("half-spaces, ms a step", CONSTRAINTS, POLYTOPE_METHODS, lambda m: (faces[m], {}), given.steps, given.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
