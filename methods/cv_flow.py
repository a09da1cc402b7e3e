"""CV-Flow: SAC in the latent space of a flow trained on violations (Brahmanage et al., AAAI 2025, arXiv 2502.10431).

The flow f(z; s) is trained without feasible samples, to minimise E[violation(f(z; s), s) / sigma - log |det df/dz|]. It
is then frozen, and SAC treats the latent z as the action.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from tqdm import tqdm

from envs.constraints.box import Box
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.sampling.dataset import SAMPLES_VERSION, draw_contexts, visited_contexts
from envs.seeding import derive_seed, make_generator
from methods.base import (
    Artifacts,
    Checkpoint,
    MethodConfig,
    Tensors,
    Transition,
    changed_settings,
    register_method,
)
from methods.flows.base import Flow, uniform_latent
from methods.flows.measure import summed_violation
from methods.flows.realnvp import RealNVPConfig
from methods.flows.training import (
    CURVE_POINTS,
    HELD_OUT_ROWS,
    Curve,
    SampleConfig,
    flow_state,
    load_flow,
    make_flow,
    refusing_others,
)
from methods.networks import entries, pack, unpack
from methods.sac import SAC, SACConfig

# Raised whenever a change of the training alters the flow.
TRAINING_VERSION = 1


class CVFlowTrainingConfig(MethodConfig):
    """Settings of the flow's training; the paper's, except for the number of updates and the learning rates.

    Attributes:
        layers: Coupling layers of the RealNVP.
        hidden: Widths of each coupling's network.
        updates: Gradient steps. The paper's are 500,000.
        learning_rate: Initial learning rate of Adam, which falls to ``final_learning_rate`` along a cosine. The paper
            uses 1e-5 throughout.
        sigma: The violation that weighs as much as a volume smaller by a factor of e.
        clip: Largest gradient norm.
    """

    layers: PositiveInt = 6
    hidden: tuple[PositiveInt, ...] = (256, 256)
    updates: PositiveInt = 5_000
    batch_size: PositiveInt = 256
    learning_rate: PositiveFloat = 1e-3
    final_learning_rate: PositiveFloat = 1e-5
    sigma: PositiveFloat = 1e-5
    clip: PositiveFloat = 0.1
    seed: NonNegativeInt = 0

    def architecture(self) -> RealNVPConfig:
        """The architecture of the flow."""
        return RealNVPConfig(layers=self.layers, hidden=self.hidden, seed=self.seed)


class CVFlowConfig(SACConfig):
    """Settings of CV-Flow. The flow handles the constraint, so a learner's other choices are fixed.

    Attributes:
        samples: Settings of the states that the flow is trained and measured at.
        flow: Settings of the flow's training.
    """

    samples: SampleConfig = Field(default_factory=SampleConfig)
    flow: CVFlowTrainingConfig = Field(default_factory=CVFlowTrainingConfig)
    warmup_actions: Literal["latent"] = "latent"
    head: Literal["identity"] = "identity"
    critic_action: Literal["raw"] = "raw"
    target: Literal["raw"] = "raw"
    raw_penalty: NonNegativeFloat = Field(default=0.0, le=0)


def flow_versions(config: CVFlowConfig) -> dict[str, int]:
    """Versions of everything that the flow depends on, by name."""
    flow = config.flow.architecture()
    return {"samples": SAMPLES_VERSION, flow.kind: flow.version, "cv-flow training": TRAINING_VERSION}


@register_method("cv-flow", version=1)
class CVFlow(SAC[CVFlowConfig]):
    """SAC whose actions are latents, which the flow maps to actions of the task.

    Attributes:
        flow: The trained flow f.
    """

    Config = CVFlowConfig
    flow: Flow | None = None

    def __init__(self, task: TaskSpec, config: CVFlowConfig, seed: int) -> None:
        side = np.ones(task.constraint.free_dim)
        super().__init__(dataclasses.replace(task, constraint=Box(-side, side)), config, seed)
        self.task = task

    @classmethod
    def versions(cls, config: CVFlowConfig) -> dict[str, int]:
        """See :meth:`Method.versions`; includes those of the samples and of the flow."""
        return {**super().versions(config), **flow_versions(config)}

    def prepare(self, artifacts: Artifacts | None = None) -> None:
        """Train the flow, or load it from ``artifacts``; one flow serves all seeds of a task."""
        settings = {"samples": changed_settings(self.config.samples), "flow": changed_settings(self.config.flow)}
        store = artifacts or Artifacts()
        state = store.get(f"flows/{self.id}", settings, flow_versions(self.config), self._train)
        self.flow, self.flow_curve = load_flow(self.task, self.config.flow.architecture(), state)

    def _train(self, store: Artifacts) -> Tensors:
        contexts = draw_states(self.task, self.config.samples)
        return flow_state(*train_on_violations(self.task, self.config.flow, contexts, store.checkpoint))

    def trained_flow(self) -> Flow:
        """The flow.

        Raises:
            UserError: If :meth:`prepare` was not called.
        """
        if self.flow is None:
            raise UserError(f"{self.id} acts through a trained flow: call prepare() first")
        return self.flow

    def actor_outputs(self) -> int:
        """See :meth:`OffPolicy.actor_outputs`."""
        return self.task.constraint.free_dim

    def decode(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`OffPolicy.decode`."""
        action: Tensor = self.trained_flow()(output, self.task.constraint.context(obs))
        return action

    def policy(self, obs: Tensor) -> Tensor:
        """See :meth:`OffPolicy.policy`."""
        return self.decode(super().policy(obs), obs)

    def _explored(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        _, latent = super()._explored(obs)
        return None, self.decode(latent, obs)

    @torch.no_grad()
    def observe(self, transition: Transition) -> None:
        """See :meth:`Method.observe`; the latent is computed from the action, since the flow is invertible."""
        context = self.task.constraint.context(transition.obs)
        latent, _ = self.trained_flow().inverse(transition.behaviour, context)
        # Rounding may leave the box of latents.
        super().observe(transition._replace(behaviour=latent.clamp(-1, 1)))


def draw_states(task: TaskSpec, config: SampleConfig) -> Tensors:
    """Contexts for training and testing, float32, drawn like those of other flows' samples; no actions."""
    drawn = {}
    for name, count in (("train", config.train), ("test", config.test)):
        visited = visited_contexts(task, config.rollout_steps, derive_seed(config.seed, "rollouts", name))
        drawn[name] = draw_contexts(visited, count, make_generator(config.seed, "contexts", name)).float()
    return drawn


def violation_loss(flow: Flow, latent: Tensor, context: Tensor, sigma: float) -> Tensor:
    """Mean of ``violation(f(z; s), s) / sigma - log |det df/dz|``, in the flow's scaled free coordinates.

    Args:
        flow: f.
        latent: z, (B, d).
        context: State variables of the constraint, (B, k).
        sigma: Weight of summed violations, action box included.
    """
    scaled = flow.push(latent, context)
    _, log_det_inverse = flow.pull(scaled, context)
    action = flow.constraint.from_free(flow.box_middle + flow.box_half * scaled)
    violation = summed_violation(flow.constraint, action.double(), context)
    return (violation / sigma + log_det_inverse).mean()


def train_on_violations(
    task: TaskSpec, config: CVFlowTrainingConfig, contexts: Mapping[str, Tensor], checkpoint: Checkpoint
) -> tuple[Flow, Curve]:
    """Train a flow without feasible actions, and record its loss and validity at the test contexts.

    Args:
        task: The task whose C(s) the flow maps onto.
        config: Architecture and training.
        contexts: ``"train"`` and ``"test"``, (N, k) each.
        checkpoint: Stores the state of an interrupted training, from which this one resumes.

    Returns:
        The frozen flow, and ``{"update": [...], "loss": [...], "validity": [...]}``.
    """
    flow = make_flow(task, config.architecture())
    flow.fit_context(contexts["train"])
    generator = make_generator(config.seed, "latents")
    optimizer = torch.optim.Adam(flow.parameters(), lr=config.learning_rate, fused=True)
    parts: dict[str, Any] = {"flow": flow, "generator": generator, "optimizer": optimizer}
    curve: Curve = {"update": [], "loss": [], "validity": []}
    unfinished = checkpoint.load()
    if unfinished is not None:
        with refusing_others():
            unpack(unfinished, parts)
            curve = {key: values.tolist() for key, values in entries(unfinished, "curve").items()}
    done = int(curve["update"][-1]) if curve["update"] else 0
    every = math.ceil(config.updates / CURVE_POINTS)
    for turn in tqdm(range(done, config.updates), desc=f"{task.id} flow", leave=False, disable=None):
        rows = torch.randint(len(contexts["train"]), (config.batch_size,), generator=generator)
        latent = uniform_latent(config.batch_size, flow.dim, generator)
        optimizer.zero_grad()
        torch.autograd.backward(violation_loss(flow, latent, contexts["train"][rows], config.sigma))
        torch.nn.utils.clip_grad_norm_(flow.parameters(), config.clip)
        fall = (1 + math.cos(math.pi * turn / config.updates)) / 2
        spread = config.learning_rate - config.final_learning_rate
        optimizer.param_groups[0]["lr"] = config.final_learning_rate + spread * fall
        optimizer.step()
        if (turn + 1) % every == 0 or turn + 1 == config.updates:
            look = turn + 1.0, *_held_out(flow, contexts["test"], config)
            for name, value in zip(curve, look, strict=True):
                curve[name].append(value)
            checkpoint.save(pack(parts) | flow_state(flow, curve))
    return flow.requires_grad_(False), curve


@torch.no_grad()
def _held_out(flow: Flow, contexts: Tensor, config: CVFlowTrainingConfig) -> tuple[float, float]:
    """Loss, and share of valid actions at tolerance 0, always at the same latents and contexts."""
    context = contexts[:HELD_OUT_ROWS]
    latent = uniform_latent(len(context), flow.dim, make_generator(config.seed, "held-out latents"))
    violation = summed_violation(flow.constraint, flow(latent, context).double(), context)
    return float(violation_loss(flow, latent, context, config.sigma)), float((violation == 0).double().mean())
