"""Maximum-likelihood training of a flow on feasible actions, and the measure of how good it is."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from tqdm import tqdm

from envs.errors import UserError
from envs.registry import TaskSpec
from envs.sampling.dataset import draw_dataset, embed
from envs.seeding import derive_seed, make_generator
from methods.base import Artifacts, MethodConfig, Tensors
from methods.flows.base import Flow, boundary_latent, soft_box_log_density, uniform_latent
from methods.flows.realnvp import RealNVP

CURVE_POINTS = 50
# Rows handled at a time where millions are measured.
CHUNK = 100_000


class SampleConfig(MethodConfig):
    """How many samples a flow is trained and tested on. FlowPG's are 500,000 each; profile paper has them."""

    train: PositiveInt = 200_000
    test: PositiveInt = 100_000
    rollout_steps: PositiveInt = 20_000
    seed: NonNegativeInt = 0


class FlowConfig(MethodConfig):
    """Architecture and training of a flow: FlowPG's released ones, but for the step size's decay and fewer updates.

    Attributes:
        updates: Gradient steps. FlowPG's 100 epochs of 500,000 samples are 195,300; profile paper has them.
        learning_rate: Of Adam, at the start; it falls to ``final_learning_rate`` along a cosine.
        sigma: Standard deviation of the Gaussian edge of the base density.
        clip: Largest norm of a gradient.
    """

    kind: Literal["realnvp"] = "realnvp"
    layers: PositiveInt = 6
    hidden: tuple[PositiveInt, ...] = (256, 256)
    updates: PositiveInt = 5_000
    batch_size: PositiveInt = 256
    learning_rate: PositiveFloat = 1e-3
    final_learning_rate: PositiveFloat = 1e-5
    sigma: PositiveFloat = 1e-4
    clip: PositiveFloat = 0.1
    seed: NonNegativeInt = 0


def make_flow(task: TaskSpec, config: FlowConfig) -> Flow:
    """An untrained flow onto the task's C(s)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "flow"))
        return RealNVP(task.constraint, config.layers, config.hidden)


def draw_samples(task: TaskSpec, config: SampleConfig, store: Artifacts) -> Tensors:
    """The training and test set of ``envs.sampling.dataset``, from the store if it is there."""
    return store.get(
        "samples",
        config.model_dump(mode="json"),
        ("envs.sampling.dataset",),
        lambda _: draw_dataset(task, **config.model_dump()),
    )


def flow_state(flow: Flow, curve: dict[str, list[float]]) -> Tensors:
    """A trained flow and its curve as tensors that can be kept."""
    state = {f"flow.{key}": value for key, value in flow.state_dict().items()}
    return state | {f"curve.{key}": torch.tensor(values, dtype=torch.float64) for key, values in curve.items()}


def load_flow(task: TaskSpec, config: FlowConfig, state: Tensors) -> tuple[Flow, dict[str, list[float]]]:
    """The frozen flow and the curve that :func:`flow_state` kept.

    Raises:
        UserError: If the tensors are not those of such a flow.
    """
    flow = make_flow(task, config)
    weights = {key.removeprefix("flow."): value for key, value in state.items() if key.startswith("flow.")}
    try:
        flow.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"the stored flow does not fit task {task.id}; delete it and train again") from error
    curve = {key.removeprefix("curve."): value.tolist() for key, value in state.items() if key.startswith("curve.")}
    return flow.requires_grad_(False), curve


def train_flow(task: TaskSpec, config: FlowConfig, samples: Tensors) -> tuple[Flow, dict[str, list[float]]]:
    """A flow trained on ``samples`` (see ``envs.sampling.dataset``) and its curve of held-out likelihood."""
    flow = make_flow(task, config)
    context, action = samples["train_context"], samples["train_action"]
    flow.fit_context(context)
    generator = make_generator(config.seed, "batches")
    optimizer = torch.optim.Adam(flow.parameters(), lr=config.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.updates, config.final_learning_rate)
    curve: dict[str, list[float]] = {"update": [], "test_nll": []}
    every = math.ceil(config.updates / CURVE_POINTS)
    for update in tqdm(range(1, config.updates + 1), desc=f"{task.id} flow", leave=False, disable=None):
        rows = torch.randint(len(action), (config.batch_size,), generator=generator)
        loss = negative_log_likelihood(flow, context[rows], action[rows], config.sigma)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(flow.parameters(), config.clip)
        optimizer.step()
        schedule.step()
        if update % every == 0 or update == config.updates:
            curve["update"].append(float(update))
            curve["test_nll"].append(held_out(flow, samples, config.sigma))
    return flow.requires_grad_(False), curve


def negative_log_likelihood(flow: Flow, context: Tensor, action: Tensor, sigma: float) -> Tensor:
    """Mean negative log density, in scaled free coordinates, of feasible actions (B, n)."""
    latent, log_det = flow.inverse(action, context)
    return -(soft_box_log_density(latent, sigma) + log_det).mean()


@torch.no_grad()
def held_out(flow: Flow, samples: Tensors, sigma: float, rows: int = 5_000) -> float:
    """Negative log-likelihood of the first ``rows`` of the test set."""
    context, action = samples["test_context"][:rows], samples["test_action"][:rows]
    return float(negative_log_likelihood(flow, context, action, sigma))


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
        action = flow(draw(count, flow.dim, generator), chosen).double()
        violation = flow.constraint.violation(action, embed(flow.constraint, chosen.double()))
        parts.append(violation.clamp(min=0).sum(dim=1))
    return torch.cat(parts)


@torch.no_grad()
def flow_recall(flow: Flow, samples: Tensors) -> float:
    """Share of the test set's feasible actions whose latent lies in the box."""
    pairs = zip(torch.split(samples["test_context"], CHUNK), torch.split(samples["test_action"], CHUNK), strict=True)
    inside = [(flow.inverse(action, context)[0].abs() <= 1).all(dim=1) for context, action in pairs]
    return float(torch.cat(inside).double().mean())
