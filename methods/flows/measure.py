"""How good a trained flow is: validity of what it puts out, recall of what is feasible."""

from __future__ import annotations

import torch
from torch import Tensor

from envs.sampling.dataset import embed
from methods.base import Tensors
from methods.flows.base import Flow, boundary_latent, uniform_latent

# Rows drawn at a time where millions are measured, and rows that go through a flow at a time: a spline flow holds some
# ten kilobytes a row.
CHUNK, ROWS = 100_000, 20_000


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
    draw = {"uniform": uniform_latent, "boundary": boundary_latent}[kind]
    parts = []
    for start in range(0, draws, CHUNK):
        count = min(CHUNK, draws - start)
        chosen = context[torch.randint(len(context), (count,), generator=generator)]
        latent = draw(count, flow.dim, generator)
        for some_latent, some_context in zip(torch.split(latent, ROWS), torch.split(chosen, ROWS), strict=True):
            action = flow(some_latent, some_context).double()
            violation = flow.constraint.violation(action, embed(flow.constraint, some_context.double()))
            parts.append(violation.clamp(min=0).sum(dim=1))
    return torch.cat(parts)


@torch.no_grad()
def flow_recall(flow: Flow, samples: Tensors) -> float:
    """Share of the test set's feasible actions whose latent lies in the box."""
    pairs = zip(torch.split(samples["test_context"], ROWS), torch.split(samples["test_action"], ROWS), strict=True)
    inside = [(flow.inverse(action, context)[0].abs() <= 1).all(dim=1) for context, action in pairs]
    return float(torch.cat(inside).double().mean())
