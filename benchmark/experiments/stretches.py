"""Stretches of a training run between its evaluations, and what the policy put out in each."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from benchmark.records.selection import CompleteRun
from benchmark.training.harness import VISITED_STATES
from envs.errors import UserError


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
