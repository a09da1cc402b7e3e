"""The first training steps of each kind of flow, and what the flow then maps to what."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from envs.constraints.base import Constraint
from methods.base import Checkpoint, Tensors
from methods.flows.gauge import GaugeConfig
from methods.flows.realnvp import RealNVPConfig
from methods.flows.spline import SplineConfig
from methods.flows.training import train_flow
from tests.golden import harness
from tests.golden.harness import InterruptionError
from tests.golden.numbers import Record, actions_and_observations, summary, uniform
from tests.golden.records import Golden

KINDS = {"realnvp": RealNVPConfig, "spline": SplineConfig, "gauge": GaugeConfig}
TASKS = ("R+L2", "HC+O", "H+M", "BSS-3")
UPDATES, ROWS = 10, 64
# Of a spline some gradients are next to zero, and Adam makes a whole step of their rounding.
TOLERANCES = {"realnvp": 1e-4, "spline": 1e-2, "gauge": 1e-3}


def goldens() -> dict[str, Golden]:
    """Each kind on four families: without context, with one, a budget of power, and in a plane."""
    pairs = [(kind, task) for kind in KINDS for task in TASKS]
    return {f"flows/{kind}/{task}": Golden(partial(trained, kind, task), TOLERANCES[kind]) for kind, task in pairs}


class Interrupting(Checkpoint):
    """Keeps the training's state, and stops it once."""

    def __init__(self, after: int) -> None:
        self.kept: Tensors | None = None
        self.left = after

    def load(self) -> Tensors | None:
        return self.kept

    def save(self, state: Tensors) -> None:
        self.kept = {name: value.clone() for name, value in state.items()}
        self.left -= 1
        if self.left == 0:
            raise InterruptionError


def trained(kind: str, task_id: str) -> Record:
    """Train, interrupted and resumed; then map fixed latents to actions and fixed actions to latents."""
    task = harness.short_task(task_id, 20)
    config = KINDS[kind](layers=3, hidden=(16, 16), updates=UPDATES, batch_size=32, average=0.9)
    samples = _samples(task.constraint)
    checkpoint: Any = Interrupting(after=UPDATES // 2)
    with pytest.raises(InterruptionError):
        train_flow(task, config, samples, checkpoint)
    flow, curve = train_flow(task, config, samples, checkpoint)
    context, action = samples["test_context"][:8], samples["test_action"][:8]
    latent = uniform(3, len(context), flow.dim).float().requires_grad_()
    mapped = flow(latent, context)
    (gradient,) = torch.autograd.grad(mapped.sum(), latent)
    back, log_det = flow.inverse(action, context)
    weights = torch.cat([value.reshape(-1) for value in flow.state_dict().values()])
    found: Record = {"loss": curve["test_nll"], "looks": curve["update"], "weights": summary(weights)}
    return found | {"actions": mapped, "gradient": gradient, "latents": back, "log det": log_det}


def _samples(constraint: Constraint) -> dict[str, Tensor]:
    """Contexts and feasible actions, off the boundary where a spline has kinks; they depend on no environment."""
    samples = {}
    for seed, name in enumerate(("train", "test")):
        action, obs = actions_and_observations(constraint, ROWS, seed=seed + 5)
        samples[f"{name}_context"] = constraint.context(obs).float()
        samples[f"{name}_action"] = constraint.interior(obs).lerp(constraint.project(action, obs), 0.95).float()
    return samples
