"""How good a trained flow is: validity of what it puts out, recall of what is feasible."""

from __future__ import annotations

import torch
from torch import Tensor

from envs.constraints.base import Constraint
from envs.sampling.dataset import embed
from methods.base import Tensors
from methods.flows.base import Flow, boundary_latent, uniform_latent

# Rows drawn at a time where millions are measured, and rows that go through a flow at a time: a spline flow holds some
# ten kilobytes a row.
CHUNK, ROWS = 100_000, 20_000
DRAW = {"uniform": uniform_latent, "boundary": boundary_latent}


@torch.no_grad()
def flow_violations(flow: Flow, context: Tensor, kind: str, draws: int, generator: torch.Generator) -> Tensor:
    """Summed positive violations (draws,) of f(z; s), in float64, at rows of ``context`` (N, k).

    Args:
        flow: The flow.
        context: Contexts to draw from.
        kind: ``"uniform"`` for z uniform in the box, ``"boundary"`` for z uniform on its faces.
        draws: How many.
        generator: Source of randomness.
    """
    draw = DRAW[kind]
    parts = []
    for start in range(0, draws, CHUNK):
        count = min(CHUNK, draws - start)
        chosen = context[torch.randint(len(context), (count,), generator=generator)]
        latent = draw(count, flow.dim, generator)
        for some_latent, some_context in zip(torch.split(latent, ROWS), torch.split(chosen, ROWS), strict=True):
            parts.append(summed_violation(flow.constraint, flow(some_latent, some_context).double(), some_context))
    return torch.cat(parts)


@torch.no_grad()
def flow_recall(flow: Flow, samples: Tensors) -> float:
    """Share of the test set's feasible actions whose latent lies in the box."""
    pairs = zip(torch.split(samples["test_context"], ROWS), torch.split(samples["test_action"], ROWS), strict=True)
    inside = [(flow.inverse(action, context)[0].abs() <= 1).all(dim=1) for context, action in pairs]
    return float(torch.cat(inside).double().mean())


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
