"""Quality of a trained flow: validity of its outputs, and recall of feasible actions."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from envs.constraints.base import Constraint
from envs.sampling.dataset import embed
from methods.base import Tensors
from methods.flows.base import Flow, boundary_latent, uniform_latent

# Rows to draw at a time when millions are measured, and rows to pass through a flow at a time: a spline flow needs some
# ten kilobytes per row.
CHUNK, ROWS = 100_000, 20_000
DRAW = {"uniform": uniform_latent, "boundary": boundary_latent}


def _latents(
    flow: Flow, context: Tensor, kind: str, draws: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Latents (B, d) and rows (B, k) of ``context`` (N, k), ``ROWS`` at a time, ``draws`` in total.

    ``kind`` is ``"uniform"`` for latents uniform in the box, ``"boundary"`` for latents uniform on its faces.
    """
    for start in range(0, draws, CHUNK):
        count = min(CHUNK, draws - start)
        chosen = context[torch.randint(len(context), (count,), generator=generator)]
        latent = DRAW[kind](count, flow.dim, generator)
        yield from zip(torch.split(latent, ROWS), torch.split(chosen, ROWS), strict=True)


@torch.no_grad()
def flow_violations(flow: Flow, context: Tensor, kind: str, draws: int, generator: torch.Generator) -> Tensor:
    """Summed positive violations (draws,) of f(z; s), in float64; see :func:`_latents`."""
    pairs = _latents(flow, context, kind, draws, generator)
    return torch.cat([summed_violation(flow.constraint, flow(z, s).double(), s) for z, s in pairs])


@torch.no_grad()
def draw_actions(
    flow: Flow, context: Tensor, kind: str, draws: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Actions f(z; s) (draws, n) in float64, and their contexts (draws, k); see :func:`_latents`."""
    pairs = [(flow(z, s).double(), s) for z, s in _latents(flow, context, kind, draws, generator)]
    actions, contexts = zip(*pairs, strict=True)
    return torch.cat(actions), torch.cat(contexts)


@torch.no_grad()
def flow_recall(flow: Flow, samples: Tensors) -> float:
    """Share of the test set's feasible actions whose latent lies in the box."""
    pairs = zip(torch.split(samples["test_context"], ROWS), torch.split(samples["test_action"], ROWS), strict=True)
    inside = [(flow.inverse(action, context)[0].abs() <= 1).all(dim=1) for context, action in pairs]
    return float(torch.cat(inside).double().mean())


def summed_violation(constraint: Constraint, actions: Tensor, context: Tensor) -> Tensor:
    """Summed positive violations (N,) of actions (N, n), float64, at contexts (N, k)."""
    violation = constraint.violation(actions, embed(constraint, context.double()))
    return violation.clamp(min=0).sum(dim=1)
