"""Maximum-likelihood training of a flow on feasible actions. Interrupted training resumes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from tqdm import tqdm

from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.sampling.dataset import SAMPLES_VERSION, draw_dataset
from envs.seeding import derive_seed, make_generator
from methods.base import Artifacts, Checkpoint, MethodConfig, Tensors, changed_settings
from methods.flows.base import Flow, soft_box_log_density
from methods.networks import entries, pack, unpack

CURVE_POINTS = 50
# Enough to resolve a thousandth of the likelihood, few enough to cost little.
HELD_OUT_ROWS = 5_000
Curve = dict[str, list[float]]


class SampleConfig(MethodConfig):
    """Numbers of samples that a flow is trained and tested on. FlowPG and profile paper use 500,000 each."""

    train: PositiveInt = 200_000
    test: PositiveInt = 100_000
    rollout_steps: PositiveInt = 20_000
    seed: NonNegativeInt = 0


class FlowConfig(MethodConfig, ABC):
    """Settings that all flows and their training share; docs/deviations.md says where defaults are not FlowPG's.

    Attributes:
        kind: Name of the flow.
        version: Raised when a change of the flow or of its training alters results.
        layers: Coupling layers.
        hidden: Widths of each coupling's network.
        updates: Maximum number of gradient steps. FlowPG's 100 epochs of 500,000 samples are 195,300, as in profile
            paper.
        learning_rate: Initial learning rate of Adam, which falls to ``final_learning_rate`` along a cosine.
        sigma: Standard deviation of the Gaussian edge of the base density.
        steepest: Slope of the log density at which the edge becomes exponential.
        steepest_at_start: The same at the start; it rises geometrically over the first half of training.
        clip: Largest gradient norm.
        average: Decay of the exponential moving average of the weights, which is measured and kept.
        patience: Training stops in its second half after this many consecutive evaluations of the held-out likelihood,
            out of 50, without improvement.
    """

    kind: ClassVar[str]
    version: ClassVar[int]
    layers: PositiveInt
    hidden: tuple[PositiveInt, ...]
    updates: PositiveInt = 5_000
    batch_size: PositiveInt = 256
    learning_rate: PositiveFloat = 1e-3
    final_learning_rate: PositiveFloat = 1e-5
    sigma: PositiveFloat = 1e-4
    steepest: PositiveFloat = 150.0
    steepest_at_start: PositiveFloat = 3.0
    clip: PositiveFloat = 0.1
    average: float = Field(default=0.99, ge=0, lt=1)
    patience: PositiveInt = 10
    seed: NonNegativeInt = 0

    @abstractmethod
    def build(self, constraint: Constraint) -> Flow:
        """An untrained flow onto C(s), initialised from torch's global generator."""


def make_flow(task: TaskSpec, config: FlowConfig) -> Flow:
    """An untrained flow onto the task's C(s)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(config.seed, "flow"))
        return config.build(task.constraint)


def draw_samples(task: TaskSpec, config: SampleConfig, store: Artifacts) -> Tensors:
    """The training and test set of ``envs.sampling.dataset``, from the store if it has them."""
    recipe = changed_settings(config), {"samples": SAMPLES_VERSION}
    return store.get("samples", *recipe, lambda _: draw_dataset(task, **config.model_dump()))


def flow_state(flow: Flow, curve: Curve) -> Tensors:
    """A trained flow and its curve as tensors for the store."""
    kept = {f"curve.{key}": torch.tensor(values, dtype=torch.float64) for key, values in curve.items()}
    return pack({"flow": flow}) | kept


def load_flow(task: TaskSpec, config: FlowConfig, state: Tensors) -> tuple[Flow, Curve]:
    """The frozen flow and the curve that :func:`flow_state` kept.

    Raises:
        UserError: If the tensors are not those of such a flow.
    """
    flow = make_flow(task, config)
    try:
        unpack(state, {"flow": flow})
    except RuntimeError as error:
        raise UserError(f"the stored flow does not fit task {task.id}: delete it and train again") from error
    return flow.requires_grad_(False), {key: values.tolist() for key, values in entries(state, "curve").items()}


def train_flow(task: TaskSpec, config: FlowConfig, samples: Tensors, checkpoint: Checkpoint) -> tuple[Flow, Curve]:
    """Train a flow on ``samples`` (see ``envs.sampling.dataset``), and record its held-out likelihood.

    Args:
        task: The task whose C(s) the flow maps onto.
        config: Architecture and training.
        samples: Training and test set.
        checkpoint: Stores the state of an interrupted training, from which this one resumes.

    Returns:
        The frozen flow of the best averaged weights, and the curve ``{"update": [...], "test_nll": [...]}``.
    """
    training = _Training(task, config, samples)
    unfinished = checkpoint.load()
    if unfinished is not None:
        training.load_state_dict(unfinished)
    with tqdm(total=config.updates, initial=training.done, desc=f"{task.id} flow", leave=False, disable=None) as bar:
        while not training.finished():
            training.update()
            bar.update()
            if training.at_look():
                training.look()
                checkpoint.save(training.state_dict())
    return training.best.requires_grad_(False), training.curve


class _Training:
    """One training run of a flow, update by update. It can stop and resume between two evaluations."""

    def __init__(self, task: TaskSpec, config: FlowConfig, samples: Tensors) -> None:
        self.config = config
        self.samples = samples
        self.flow, self.averaged, self.best = (make_flow(task, config) for _ in range(3))
        for flow in (self.flow, self.averaged):
            flow.fit_context(samples["train_context"])
        self.averaged.requires_grad_(False)
        self.generator = make_generator(config.seed, "batches")
        self.optimizer = torch.optim.Adam(self.flow.parameters(), lr=config.learning_rate, fused=True)
        self.curve: Curve = {"update": [], "test_nll": []}
        self.done = 0

    def finished(self) -> bool:
        """Whether all updates are done, or the likelihood has stopped falling."""
        losses = self.curve["test_nll"]
        # Before that, the edge of the base density is not its final one.
        best = max(CURVE_POINTS // 2, losses.index(min(losses))) if losses else 0
        return len(losses) - 1 - best >= self.config.patience or self.done >= self.config.updates

    def at_look(self) -> bool:
        """Whether the held-out likelihood is due."""
        every = math.ceil(self.config.updates / CURVE_POINTS)
        return self.done % every == 0 or self.done == self.config.updates

    def update(self) -> None:
        """One gradient step."""
        config = self.config
        context, action = self.samples["train_context"], self.samples["train_action"]
        rows = torch.randint(len(action), (config.batch_size,), generator=self.generator)
        share = self.done / config.updates
        risen = min(1.0, 2 * share)
        steepest = config.steepest_at_start ** (1 - risen) * config.steepest**risen
        loss = negative_log_likelihood(self.flow, context[rows], action[rows], config.sigma, steepest)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.flow.parameters(), config.clip)
        fall = (config.learning_rate - config.final_learning_rate) * (1 + math.cos(math.pi * share)) / 2
        self.optimizer.param_groups[0]["lr"] = config.final_learning_rate + fall
        self.optimizer.step()
        self.done += 1
        with torch.no_grad():
            for mean, new in zip(self.averaged.parameters(), self.flow.parameters(), strict=True):
                mean.lerp_(new, 1 - min(config.average, self.done / (self.done + 10)))

    def look(self) -> None:
        """Measure the averaged weights on held-out samples and keep them if they are the best so far."""
        loss = held_out(self.averaged, self.samples, self.config)
        if not math.isfinite(loss):
            raise UserError(
                f"the flow's held-out likelihood is {loss} after {self.done:,} updates: lower flow.learning_rate"
            )
        if not self.curve["test_nll"] or loss < min(self.curve["test_nll"]):
            self.best.load_state_dict(self.averaged.state_dict())
        self.curve["update"].append(float(self.done))
        self.curve["test_nll"].append(loss)

    def _parts(self) -> dict[str, Any]:
        names = ("flow", "averaged", "best", "optimizer", "generator")
        return {name: getattr(self, name) for name in names}

    def state_dict(self) -> Tensors:
        """Everything that the rest of the training depends on."""
        return flow_state(self.flow, self.curve) | pack(self._parts())

    def load_state_dict(self, state: Tensors) -> None:
        """Resume from :meth:`state_dict`.

        Raises:
            UserError: If the tensors are not those of such a training.
        """
        with refusing_others():
            unpack(state, self._parts())
            self.curve = {key: values.tolist() for key, values in entries(state, "curve").items()}
            self.done = int(self.curve["update"][-1])


@contextmanager
def refusing_others() -> Iterator[None]:
    """Raise a one-line error if the state of an unfinished training belongs to another one."""
    try:
        yield
    except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise UserError("the state of an unfinished flow training does not fit: delete it and train again") from error


def negative_log_likelihood(flow: Flow, context: Tensor, action: Tensor, sigma: float, steepest: float) -> Tensor:
    """Mean negative log density, in scaled free coordinates, of feasible actions (B, n)."""
    latent, log_det = flow.inverse(action, context)
    return -(soft_box_log_density(latent, sigma, steepest) + log_det).mean()


@torch.no_grad()
def held_out(flow: Flow, samples: Tensors, config: FlowConfig) -> float:
    """Negative log-likelihood of the first rows of the test set, with the final edge of the base density."""
    context, action = samples["test_context"][:HELD_OUT_ROWS], samples["test_action"][:HELD_OUT_ROWS]
    return float(negative_log_likelihood(flow, context, action, config.sigma, config.steepest))
