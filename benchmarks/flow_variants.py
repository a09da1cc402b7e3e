"""What makes RealNVP valid: the edge of its density, what its layers move, see, and how wide they are; one at a time.

Run ``python -m benchmarks.flow_variants [TASK] [--updates N] [--last N]``. Same samples, batches, steps and seed; the
share of the action box that is feasible is what a flow that does nothing is valid at.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import torch

from envs import make_task
from envs.sampling.dataset import draw_dataset, embed
from envs.seeding import make_generator
from methods.base import Checkpoint, Tensors
from methods.flows.measure import flow_recall, flow_violations
from methods.flows.realnvp import RealNVPConfig
from methods.flows.training import train_flow

DRAWS = 200_000
# No sample lies so far outside that a Gaussian edge of sigma 1e-4 were this steep.
GAUSSIAN = {"steepest": 1e9, "steepest_at_start": 1e9}
PUBLISHED = {"moves": "half", "shares": False}
VARIANTS: dict[str, dict[str, Any]] = {
    "published: halves, Gaussian edge of sigma 1e-4": PUBLISHED | GAUSSIAN,
    "slope of the edge at most 150": PUBLISHED,
    "and layers move one coordinate": {"shares": False},
    "and see shares of the budget": {},
    "and are 128 wide (ours)": {"hidden": (128, 128)},
    "and are 64 wide": {"hidden": (64, 64)},
}


def feasible_share(task_id: str, samples: Tensors) -> float:
    """Share of the action box that is feasible, averaged over the states of the test set."""
    constraint, generator = make_task(task_id).constraint, make_generator(0, "box")
    context = samples["test_context"][torch.randint(len(samples["test_context"]), (DRAWS,), generator=generator)]
    lower, upper = (torch.as_tensor(end) for end in constraint.free_box)
    unit = torch.rand((DRAWS, constraint.free_dim), generator=generator, dtype=torch.float64)
    action = constraint.from_free(lower + unit * (upper - lower))
    return float(constraint.contains(action, embed(constraint, context.double())).double().mean())


def main() -> int:
    """Train each and print a table."""
    parser = argparse.ArgumentParser(description="RealNVP with one change after the other.")
    parser.add_argument("task", nargs="?", default="HC+O")
    parser.add_argument("--updates", type=int, default=6000)
    parser.add_argument("--last", type=int, default=len(VARIANTS), help="only the last so many")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    task = make_task(arguments.task)
    samples = draw_dataset(task, 200_000, 100_000, 50_000, seed=0)
    print(f"share of the action box that is feasible: {feasible_share(task.id, samples):.2%}")
    print("| flow | valid at 0, uniform | valid at 0, boundary | recall | seconds |\n|---|---|---|---|---|")
    for name, changes in list(VARIANTS.items())[-arguments.last :]:
        started = time.perf_counter()
        config = RealNVPConfig.model_validate({"updates": arguments.updates, **changes})
        flow, _ = train_flow(task, config, samples, Checkpoint())
        seconds = time.perf_counter() - started
        shares = []
        for kind in ("uniform", "boundary"):
            sizes = flow_violations(flow, samples["test_context"], kind, DRAWS, make_generator(0, kind))
            shares.append(f"{float((sizes <= 0).double().mean()):.2%}")
        print(f"| {name} | {' | '.join(shares)} | {flow_recall(flow, samples):.2%} | {seconds:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
