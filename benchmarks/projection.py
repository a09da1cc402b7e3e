"""Exact projections and linear oracles against cvxpy: both timed side by side, in one run and on one thread.

    OMP_NUM_THREADS=1 python benchmarks/projection.py

Inputs are what a learner sends: outputs of a saturated tanh policy with exploration noise (for bike sharing: wishes
around the present allocation), at velocities as fast as those of trained runners and at any angle. CLARABEL is called
through cvxpy with the problem compiled once. Times are CPU seconds of this thread, so that other work on the machine
counts little, and each figure is a median. Gradients that the oracle is asked about are normal, and come in batches, as
methods ask. The exit code is 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import tabulate
import torch
from torch import Tensor

from envs import make_task
from envs.constraints import Constraint, RateLimit, RateLimitedL1

TASKS = (
    *("R+L2", "HC+O", "H+M", "W+M", "BSS-3", "BSS-5", "R+T", "HC+MA", "H+O+S", "W+O+S", "An+L2"),
    *("An+M", "Portfolio", "HC+R", "HC+O+R"),
)
# Entries of an observation: as many as any of these constraints reads.
WIDTH = 27
BATCH = 100
# Least ratio for each batch size.
BARS = {1: 50.0, BATCH: 100.0}
LARGEST_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class Row:
    """One task's figures.

    Attributes:
        task: The task.
        asked: What was asked.
        infeasible: Share of the actions; None for gradients.
        solver: Seconds that cvxpy takes for one.
        exact: Seconds of the exact answer for one, by batch size.
        difference: How far the two answers are apart: nearest points as points; support points, of which there may be
            several, by their values.
    """

    task: str
    asked: str
    infeasible: float | None
    solver: float
    exact: dict[int, float]
    difference: float

    def ratio(self, batch: int) -> float:
        """How many times as fast the exact answer is."""
        return self.solver / self.exact[batch]

    def misses(self) -> bool:
        """Whether a bar is missed, or the two answers are not the same."""
        return any(self.ratio(batch) < BARS[batch] for batch in self.exact) or self.difference > LARGEST_DIFFERENCE


def draw_inputs(constraint: Constraint, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Raw actions (rows, n) and observations (rows, ``WIDTH``), float64."""
    lower, upper = torch.as_tensor(constraint.lower), torch.as_tensor(constraint.upper)
    shape = (rows, constraint.dim)
    saturated = torch.tanh(3 * torch.randn(shape, generator=generator, dtype=torch.float64))
    noise = 0.1 * torch.randn(shape, generator=generator, dtype=torch.float64)
    action = (lower + upper) / 2 + (saturated + noise) * (upper - lower) / 2
    obs = 10 * torch.randn((rows, WIDTH), generator=generator, dtype=torch.float64)
    # Two entries that are cosines on Reacher, and that no constraint reads elsewhere.
    obs[:, :2] = obs[:, :2].cos()
    if isinstance(constraint, RateLimit | RateLimitedL1):
        before = list(constraint.context_indices[-constraint.dim :])
        obs[:, before] = (obs[:, before] / 3).tanh()
    return action, obs


def seconds(function: Callable[[], object], calls: int) -> float:
    """CPU seconds of this thread for one call."""
    start = time.thread_time()
    for _ in range(calls):
        function()
    return (time.thread_time() - start) / calls


def measure_projection(task: str, repeats: int, generator: torch.Generator) -> Row:
    """Time both on the same inputs, turn by turn, so that a change of the machine's speed meets both."""
    constraint = make_task(task).constraint
    figures = Figures()
    for _ in range(repeats):
        action, obs = draw_inputs(constraint, BATCH, generator)
        inside = constraint.contains(action, obs)
        # An action that needs projecting: the first row whose contains() is False.
        row = int(inside.long().argmin())
        one = action[row : row + 1], obs[row : row + 1]
        figures.add(constraint.project_by_solver, constraint.project, one, (action, obs))
        figures.single.append(seconds(partial(constraint.project, *one), calls=20))
        apart = constraint.project_by_solver(*one) - constraint.project(*one)
        figures.differences.append(float(apart.abs().max()))
        figures.infeasible.append(1 - float(inside.double().mean()))
    return figures.row(task, "projection")


def measure_oracle(task: str, repeats: int, generator: torch.Generator) -> Row:
    """The same for support points."""
    constraint = make_task(task).constraint
    # What a constraint without an oracle of its own inherits.
    by_solver = partial(Constraint.linear_oracle, constraint)
    figures = Figures()
    for _ in range(repeats):
        obs = draw_inputs(constraint, BATCH, generator)[1]
        gradient = torch.randn((BATCH, constraint.dim), generator=generator, dtype=torch.float64)
        one = gradient[:1], obs[:1]
        figures.add(by_solver, constraint.linear_oracle, one, (gradient, obs))
        value = gradient[:1] * (by_solver(*one) - constraint.linear_oracle(*one))
        figures.differences.append(abs(float(value.sum())))
    return figures.row(task, "oracle")


Asked = Callable[[Tensor, Tensor], Tensor]


class Figures:
    """What was measured of one task so far."""

    def __init__(self) -> None:
        self.solver: list[float] = []
        self.single: list[float] = []
        self.batched: list[float] = []
        self.differences: list[float] = []
        self.infeasible: list[float] = []

    def add(self, solver: Asked, exact: Asked, one: tuple[Tensor, Tensor], many: tuple[Tensor, Tensor]) -> None:
        """Time the solver on one row, and the exact answer on a batch; compiling the problem is not timed."""
        if not self.solver:
            solver(*one)
        self.solver.append(seconds(partial(solver, *one), calls=1))
        self.batched.append(seconds(partial(exact, *many), calls=3) / BATCH)

    def row(self, task: str, asked: str) -> Row:
        """Medians."""
        measured = {1: self.single, BATCH: self.batched}
        return Row(
            task=task,
            asked=asked,
            infeasible=statistics.mean(self.infeasible) if self.infeasible else None,
            solver=statistics.median(self.solver),
            exact={size: statistics.median(times) for size, times in measured.items() if times},
            difference=max(self.differences),
        )


def table(rows: list[Row]) -> str:
    """The rows for people."""
    head = [
        "asked",
        "task",
        "infeasible",
        "cvxpy, us",
        "exact, us",
        "ratio",
        f"exact at {BATCH}, us",
        "ratio",
        "difference",
    ]
    body = [
        [
            row.asked,
            row.task,
            "" if row.infeasible is None else f"{row.infeasible:.0%}",
            f"{row.solver * 1e6:.0f}",
            f"{row.exact[1] * 1e6:.1f}" if 1 in row.exact else "",
            f"{row.ratio(1):.0f}" if 1 in row.exact else "",
            f"{row.exact[BATCH] * 1e6:.2f}",
            f"{row.ratio(BATCH):.0f}",
            f"{row.difference:.1e}",
        ]
        for row in rows
    ]
    return str(tabulate.tabulate(body, head, disable_numparse=True, stralign="right"))


def main() -> int:
    """Print the table; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, action="append", help="one of them alone; may be given again")
    parser.add_argument("--seed", type=int, default=0, help="of the inputs (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=200, help="measurements of each figure (default: %(default)s)")
    options = parser.parse_args()
    if options.repeats < 1:
        parser.error("--repeats must be 1 or more")
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(options.seed)
    tasks = options.task or TASKS
    rows = [ask(task, options.repeats, generator) for ask in (measure_projection, measure_oracle) for task in tasks]
    print(table(rows))
    missed = [f"{row.asked} on {row.task}" for row in rows if row.misses()]
    print(f"bars: {BARS[1]:.0f} for a single projection, {BARS[BATCH]:.0f} at batch {BATCH};")
    print(f"difference at most {LARGEST_DIFFERENCE:g}; {'missed by ' + ', '.join(missed) if missed else 'all met'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
