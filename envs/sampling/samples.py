"""The result of a sampler of feasible actions. Samplers count; the caller measures time."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Samples:
    """Feasible actions and the cost of sampling them. Fields that do not apply to a sampler are None.

    Attributes:
        actions: (N, n) float64, in the environment's units.
        proposals: Points tried: for rejection, up to each row's accepted one; for HMC, in steps and jumps after the
            warm-up; for a PSDD, one per sample, since every draw is feasible.
        acceptance: Share of proposals accepted; for HMC, of the steps of trajectories.
        jump_acceptance: Share of HMC's jumps accepted.
        ess: Effective sample size among N, the smallest over coordinates, bulk and tail.
        rhat: R-hat of chains at the same state, the largest over coordinates; 1 means agreement.
        step_size: Step size of HMC, in half-widths of the bounding box.
        models: Number of integer points of a PSDD.
        nodes: Number of decision nodes of its diagram.
    """

    actions: Tensor
    proposals: int
    acceptance: float
    jump_acceptance: float | None = None
    ess: float | None = None
    rhat: float | None = None
    step_size: float | None = None
    models: int | None = None
    nodes: int | None = None
