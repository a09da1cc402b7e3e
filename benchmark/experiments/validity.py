"""Actions that a flow puts out, and the share of them that is valid."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmark.analysis.statistics import point
from benchmark.experiments.base import ONE_FLOW, Row, make_row
from benchmark.publishing.tables.rendering import Column
from benchmark.records.results import TOLERANCES
from envs.constraints.base import Constraint
from envs.sampling.dataset import embed
from methods.flows.base import Flow, boundary_latent, uniform_latent
from methods.flows.measure import CHUNK

DRAW = {"uniform": uniform_latent, "boundary": boundary_latent}
VALID = tuple(Column(f"valid at {tol:g} [%]", "valid share", tol) for tol in TOLERANCES)


@torch.no_grad()
def draw_actions(
    flow: Flow, context: Tensor, kind: str, draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Actions f(z; s) (draws, n) in float64, and the contexts (draws, k) that they are for.

    Args:
        flow: The flow.
        context: Contexts (N, k) to draw from.
        kind: ``"uniform"`` for z uniform in the box, ``"boundary"`` for z uniform on its faces.
        draws: How many.
        generator: Source of randomness.
    """
    actions, contexts = [], []
    for start in range(0, draws, CHUNK):
        count = min(CHUNK, draws - start)
        chosen = context[torch.randint(len(context), (count,), generator=generator)]
        actions.append(flow(DRAW[kind](count, flow.dim, generator), chosen).double())
        contexts.append(chosen)
    return torch.cat(actions), torch.cat(contexts)


def summed_violation(constraint: Constraint, actions: Tensor, context: Tensor) -> Tensor:
    """Summed positive violations (N,) of actions (N, n), float64, at contexts (N, k)."""
    violation = constraint.violation(actions, embed(constraint, context.double()))
    return violation.clamp(min=0).sum(dim=1)


def share_within(sizes: Tensor, tolerance: float) -> float:
    """Share of summed violations (N,) within a tolerance."""
    return float((sizes <= tolerance).double().mean())


def validity_rows(sizes: Tensor) -> Iterator[Row]:
    """The share of one flow's actions that is valid, at every tolerance."""
    for tolerance in TOLERANCES:
        yield make_row("valid share", "share", point(share_within(sizes, tolerance), 1, ONE_FLOW), tolerance)
