"""What a pass through each flow costs, next to one through the actor that feeds it.

Run ``python -m benchmarks.flows [--task T ...]``. Forward: latents to actions, as in acting and in the critic's target.
Backward: the same with the gradient to the latents, as in the actor's update. Inverse: actions to latents with the
density, as in the flow's training. The actor is the published 400-300 network on the task's observations, forward and
backward to its input; flows are those of profile small. Times are CPU seconds of this thread, medians over rounds that
take all in turns; flows are trained for a few updates only, since what a pass costs does not depend on how good they
are.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import tabulate
import torch
from torch import Tensor

from benchmark.records.config import load_params, run_config
from benchmark.records.yaml import merge
from benchmark.training.timing import SHORT_SETTINGS
from envs import make_task
from envs.seeding import make_generator
from methods.base import make_method
from methods.ddpg import DDPG
from methods.flowpg import FlowPGBase
from methods.flows.base import uniform_latent

METHODS = ("flowpg", "flowpg-spline", "flowpg-gauge")
BATCHES = (1, 100)
ROUNDS = 15
SECONDS = 0.05


def measured(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Microseconds of each call, all taken in turns."""
    counts = {}
    for name, call in calls.items():
        call()
        started = time.thread_time()
        call()
        counts[name] = max(1, round(SECONDS / max(time.thread_time() - started, 1e-7)))
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            started = time.thread_time()
            for _ in range(counts[name]):
                call()
            found[name].append(1e6 * (time.thread_time() - started) / counts[name])
    return {name: statistics.median(times) for name, times in found.items()}


def forward(function: Callable[[Tensor], Tensor], given: Tensor) -> Callable[[], object]:
    """A call without a gradient."""

    def call() -> object:
        with torch.no_grad():
            return function(given)

    return call


def backward(function: Callable[[Tensor], Tensor], given: Tensor) -> Callable[[], object]:
    """A call and the gradient of its sum in what it was given."""
    leaf = given.clone().requires_grad_()
    return lambda: torch.autograd.grad(function(leaf).sum(), leaf)


def row(task_id: str, method: str, batch: int) -> list[str]:
    """One flow on one task."""
    task = make_task(task_id)
    learner = make_method(
        method, task, merge(run_config(load_params(), "small", task_id, method).method, SHORT_SETTINGS)
    )
    learner.prepare()
    assert isinstance(learner, FlowPGBase)
    assert isinstance(learner, DDPG)
    flow, generator = learner.trained_flow(), make_generator(0, "flows", batch)
    latent = uniform_latent(batch, flow.dim, generator)
    obs = torch.randn((batch, len(learner.obs_middle)), generator=generator)
    context = task.constraint.context(obs)
    with torch.no_grad():
        action = flow(latent, context)
    actor = partial(learner.output, learner.state["actor"])
    found = measured(
        {
            "actor": forward(actor, obs),
            "actor back": backward(actor, obs),
            "flow": forward(lambda z: flow(z, context), latent),
            "flow back": backward(lambda z: flow(z, context), latent),
            "inverse": forward(lambda a: flow.inverse(a, context)[1], action),
        }
    )
    ratios = found["flow"] / found["actor"], found["flow back"] / found["actor back"]
    times = [f"{found[name]:.0f}" for name in ("flow", "flow back", "inverse", "actor", "actor back")]
    return [task_id, method, str(batch), *times, *(f"{ratio:.1f}" for ratio in ratios)]


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="What a pass through each flow costs.")
    parser.add_argument("--task", action="append")
    given = parser.parse_args()
    torch.set_num_threads(1)
    tasks = given.task or ["R+L2", "HC+O", "BSS-5"]
    rows = [row(task, method, batch) for task in tasks for method in METHODS for batch in BATCHES]
    heads = ["task", "flow", "batch", "forward [us]", "with gradient [us]", "inverse [us]"]
    heads += ["actor [us]", "actor with gradient [us]", "flow / actor", "with gradients"]
    print(tabulate.tabulate(rows, heads, tablefmt="github", disable_numparse=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
