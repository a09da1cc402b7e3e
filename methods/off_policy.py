"""Common parts of off-policy learners: settings, scaled observations, exploration and state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import torch
from gymnasium.spaces import Box
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import make_generator
from methods.base import Method, MethodConfig, Tensors
from methods.networks import entries, pack, unpack


class OffPolicyConfig(MethodConfig):
    """Settings of every learner; defaults are from FlowPG's experiments (arXiv 2402.05149).

    Attributes:
        actor_lr: Learning rate of everything but the critic, including SAC's entropy temperature.
        critic_lr: Learning rate of the critic.
        warmup: Steps of random actions before learning starts.
        warmup_actions: The set on which these are uniform: the action box, C(s), or the box of actor outputs, which
            become actions like any other output (for FlowPG, latents through the flow).
    """

    hidden: tuple[PositiveInt, ...] = (400, 300)
    actor_lr: PositiveFloat = 1e-3
    critic_lr: PositiveFloat = 1e-3
    batch_size: PositiveInt = 100
    gamma: float = Field(default=0.99, gt=0, le=1)
    tau: float = Field(default=0.005, gt=0, le=1)
    replay_size: PositiveInt = 1_000_000
    warmup: PositiveInt = 10_000
    warmup_actions: Literal["box", "feasible", "latent"] = "box"


class NoisyConfig(OffPolicyConfig):
    """Settings of a learner with a deterministic policy that explores by additive noise.

    Attributes:
        noise: Standard deviation of the exploration noise, in the environment's action units.
    """

    noise: NonNegativeFloat = 0.1


S = TypeVar("S", bound=OffPolicyConfig)


class OffPolicy(Method[S]):
    """Base of off-policy learners with a random warm-up.

    Observations are scaled to [-1, 1] if their space is bounded.

    Attributes:
        counters: Names of the counters that change in training; the first counts steps.

    Raises:
        UserError: If the warm-up should draw latents but the learner has none.
    """

    counters: ClassVar[tuple[str, ...]]

    def __init__(self, task: TaskSpec, config: S, seed: int) -> None:
        super().__init__(task, config, seed)
        if config.warmup_actions == "latent" and not self.actor_outputs():
            raise UserError(f"method '{self.id}' has no latents to draw: set warmup_actions to box or feasible")
        constraint = task.constraint
        self.action_middle = torch.as_tensor((constraint.upper + constraint.lower) / 2, dtype=torch.float32)
        self.action_half = torch.as_tensor((constraint.upper - constraint.lower) / 2, dtype=torch.float32)
        self.obs_middle, self.obs_half = observation_scale(task)
        self.noise_generator = make_generator(seed, "noise")

    @property
    def _counted(self) -> Any:
        """The object that has the counters."""
        return self

    @property
    def warming_up(self) -> bool:
        """Whether actions are still random."""
        return bool(getattr(self._counted, self.counters[0]) < self.config.warmup)

    def actor_outputs(self) -> int:
        """Size k of the actor's output in [-1, 1]^k, which :meth:`decode` takes; 0 without such an output."""
        return 0

    def decode(self, output: Tensor, obs: Tensor) -> Tensor:
        """Actions (B, n) in the environment's units for the actor's outputs (B, k) and raw observations."""
        raise NotImplementedError

    @abstractmethod
    def policy(self, obs: Tensor) -> Tensor:
        """The policy's actions (B, n) in the environment's units."""

    @abstractmethod
    def _parts(self) -> dict[str, Any]:
        """Everything learned and all generators, as :func:`methods.networks.pack` takes them."""

    @abstractmethod
    def _replay_state(self) -> Tensors:
        """The content of the replay buffer; may share its memory."""

    @abstractmethod
    def _load_replay_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore it; raises KeyError, RuntimeError or ValueError if an entry is missing or does not fit."""

    @torch.no_grad()
    def act(self, obs: Tensor, explore: bool) -> Tensor:
        """See :meth:`Method.act`."""
        return self.act_pair(obs)[1] if explore else self.policy(obs)

    @torch.no_grad()
    def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        """See :meth:`Method.act_pair`; during the warm-up there is no policy."""
        return (None, self._random_actions(obs)) if self.warming_up else self._explored(obs)

    @property
    def counted_apart(self) -> bool:
        """See :meth:`Method.counted_apart`."""
        return not self.warming_up

    def _random_actions(self, obs: Tensor) -> Tensor:
        """Actions (B, n) of the warm-up."""
        chosen = self.config.warmup_actions
        if chosen == "feasible":
            return self.task.constraint.sample(obs, self.noise_generator)
        size = self.actor_outputs() if chosen == "latent" else self.task.constraint.dim
        uniform = 2 * torch.rand((len(obs), size), generator=self.noise_generator) - 1
        return self.decode(uniform, obs) if chosen == "latent" else self.action_middle + self.action_half * uniform

    def _explored(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        """The policy's actions, or None if exploring does not need them, and those with exploration.

        Here exploration is additive noise.
        """
        assert isinstance(self.config, NoisyConfig)
        policy = self.policy(obs)
        noise = torch.randn(policy.shape, generator=self.noise_generator, dtype=policy.dtype)
        return policy, policy + self.config.noise * noise

    def scale_obs(self, obs: Tensor) -> Tensor:
        """Scaled observations for the networks, float32."""
        return (obs.float() - self.obs_middle) / self.obs_half

    def state_dict(self) -> Tensors:
        """See :meth:`Method.state_dict`."""
        return {name: torch.tensor(getattr(self._counted, name)) for name in self.counters} | pack(self._parts())

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.load_state_dict`."""
        with self.refusing_others():
            unpack(state, self._parts())
            for name in self.counters:
                setattr(self._counted, name, state[name].item())

    @contextmanager
    def refusing_others(self) -> Iterator[None]:
        """Raise a one-line error if a state belongs to another method or task."""
        try:
            yield
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"this state does not belong to method '{self.id}' on {self.task.id}: {reason}") from error

    def checkpoint_dict(self) -> Tensors:
        """See :meth:`Method.checkpoint_dict`; includes the replay buffer."""
        return self.state_dict() | {f"replay.{name}": value for name, value in self._replay_state().items()}

    def load_checkpoint_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.load_checkpoint_dict`."""
        self.load_state_dict(state)
        try:
            self._load_replay_state(entries(state, "replay"))
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"this checkpoint's replay buffer does not fit method '{self.id}': {reason}") from error


def observation_scale(task: TaskSpec) -> tuple[Tensor, Tensor]:
    """Middle and half-width (o,) of the observation space; 0 and 1 for unbounded entries."""
    env = task.make_env()
    space = env.observation_space
    env.close()
    assert isinstance(space, Box)
    bounded = np.isfinite(space.low) & np.isfinite(space.high) & (space.low < space.high)
    low, high = np.where(bounded, space.low, -1.0), np.where(bounded, space.high, 1.0)
    middle, half = (high + low) / 2, (high - low) / 2
    return torch.as_tensor(middle, dtype=torch.float32), torch.as_tensor(half, dtype=torch.float32)
