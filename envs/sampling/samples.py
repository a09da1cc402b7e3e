"""What a sampler of feasible actions returns. Samplers count, and leave timing to whoever calls them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Samples:
    """Feasible actions and what it took to get them. What a sampler does not have is None.

    Attributes:
        actions: (N, n) float64, in the environment's units.
        proposals: Points tried: by rejection up to and with each row's accepted one; by HMC in moves of both kinds
            after the warm-up; by a PSDD one for each sample, since every draw is feasible.
        acceptance: Share of proposals accepted; by HMC of the steps of its trajectories.
        jump_acceptance: Share of HMC's jumps to an unrelated point that were accepted.
        ess: Effective number of independent samples among N, the smallest over coordinates, bulk and tail.
        rhat: Disagreement of chains at the same state, the largest over coordinates; 1 is none.
        step_size: Of HMC, in half-widths of the bounding box.
        models: Integer points that a PSDD represents.
        nodes: Decision nodes of its diagram.
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
