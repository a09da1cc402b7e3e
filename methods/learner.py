"""Common parts of our learners: an action head, a replay buffer, and an update that is a pure function of the state."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import torch
from pydantic import NonNegativeFloat
from torch import Tensor

from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import derive_seed, make_generator
from methods.base import Tensors, Transition
from methods.functional import IN_PLACE, PURE, Backend, Parameters, State, perceptron
from methods.heads.alpha import AlphaHead
from methods.heads.base import Head
from methods.heads.gauge import GaugeHead
from methods.heads.identity import IdentityHead
from methods.heads.projection import ProjectionHead
from methods.heads.radial import RadialHead
from methods.networks import pack, unpack
from methods.off_policy import OffPolicy, OffPolicyConfig
from methods.replay import Batch, ReplayBuffer
from methods.rowwise import rowwise

HeadName: TypeAlias = Literal["identity", "projection", "alpha", "radial", "gauge"]
CriticAction: TypeAlias = Literal["executed", "raw"]
Target: TypeAlias = Literal["raw", "projected", "head"]
HEADS: dict[HeadName, type[Head]] = {
    "identity": IdentityHead,
    "projection": ProjectionHead,
    "alpha": AlphaHead,
    "radial": RadialHead,
    "gauge": GaugeHead,
}


class LearnerConfig(OffPolicyConfig):
    """Settings in which published methods on one learner differ (docs/methods.md has the table).

    Attributes:
        head: Maps the actor's output to the action.
        critic_action: Whether the critic learns from the executed action or the raw one.
        target: What the critics bootstrap from: the target policy's raw action (``"raw"``), its projection onto C(s)
            (``"projected"``), or the action after another pass through the head (``"head"``).
        raw_penalty: Weight of ``Constraint.scaled_violation`` of the policy's action in the actor's loss. 1 in the
            variants that ACRL-bench marks "+".
    """

    head: HeadName = "identity"
    critic_action: CriticAction = "executed"
    target: Target = "raw"
    raw_penalty: NonNegativeFloat = 0.0


L = TypeVar("L", bound=LearnerConfig)


class Learner(OffPolicy[L]):
    """An actor with an action head, and critics, that learn from a replay buffer.

    Networks see observations as :class:`OffPolicy` scales them, and actions scaled to [-1, 1] by the action box.
    Truncated episodes are bootstrapped from, terminated ones are not.

    Attributes:
        state: Networks and optimiser moments.
    """

    counters: ClassVar[tuple[str, ...]] = ("steps", "updates")

    def __init__(self, task: TaskSpec, config: L, seed: int) -> None:
        super().__init__(task, config, seed)
        self.replay_generator = make_generator(seed, "replay")
        self.update_generator = make_generator(seed, "update")
        # torch initialises layers from its global generator: seed it here and restore its state afterwards.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "networks"))
            self.state = self._new_state(len(self.obs_middle), task.constraint.dim)
        self.replay = ReplayBuffer(config.replay_size, len(self.obs_middle), task.constraint.dim)
        self.steps = self.updates = 0

    @cached_property
    def head(self) -> Head:
        """The map from outputs to actions, made after the task was checked.

        Raises:
            UserError: If a setting needs outputs that are points, and the head has others.
        """
        head = self.make_head(self.task.constraint, self.config)
        for name, refused, others in (("target", "head", "raw or projected"), ("noise_at", "output", "action")):
            if not head.of_points and getattr(self.config, name, None) == refused:
                raise UserError(f"method '{self.id}' has outputs that are not actions: set {name} to {others}")
        return head

    def make_head(self, constraint: Constraint, config: L) -> Head:
        """The head for these settings."""
        return HEADS[config.head](constraint)

    @abstractmethod
    def _new_state(self, obs_dim: int, action_dim: int) -> State:
        """Initial networks, and the moments of their optimisers."""

    @abstractmethod
    def update_state(
        self, state: State, batch: Batch, noise: tuple[Tensor, ...], turn: int, backend: Backend = PURE
    ) -> tuple[State, Tensors]:
        """One update: a pure function of state, batch, noise and settings.

        Args:
            state: See :attr:`state`.
            batch: Transitions.
            noise: Random numbers of :meth:`draw_noise`.
            turn: Number of the update, from 1.
            backend: How to differentiate. With :data:`methods.functional.IN_PLACE` the update is not pure: it
                overwrites networks of the given state.

        Returns:
            The new state, and losses.
        """

    @abstractmethod
    def draw_noise(self, count: int) -> tuple[Tensor, ...]:
        """The random numbers for one update on ``count`` transitions."""

    def actor_outputs(self) -> int:
        """See :meth:`OffPolicy.actor_outputs`; 0 if outputs are unbounded."""
        return self.head.outputs if self.head.squashed else 0

    def decode(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`OffPolicy.decode`."""
        return self.head(output, obs)

    def observe(self, transition: Transition) -> None:
        """See :meth:`Method.observe`."""
        action = transition.behaviour if self.config.critic_action == "raw" else transition.action
        self.replay.add(transition._replace(action=action, reward=self.shaped_reward(transition)))
        self.steps += 1

    def shaped_reward(self, transition: Transition) -> float:
        """The reward that the critic learns from."""
        return transition.reward

    def update(self) -> dict[str, float]:
        """One step of the critics and, when it is their turn, of the actor and the targets."""
        if self.warming_up or not len(self.replay):
            return {}
        self.updates += 1
        batch = self.replay.sample(self.config.batch_size, self.replay_generator)
        noise = self.draw_noise(self.config.batch_size)
        self.state, losses = self.update_state(self.state, batch, noise, self.updates, IN_PLACE)
        return {name: loss.item() for name, loss in losses.items()}

    def to_box(self, action: Tensor) -> Tensor:
        """The nearest actions in the action box."""
        ends = self.action_middle - self.action_half, self.action_middle + self.action_half
        return torch.clamp(action, *(end.to(action.dtype) for end in ends))

    def output(self, actor: Parameters, obs: Tensor) -> Tensor:
        """The actor's output (B, k) for raw observations."""
        output = perceptron(actor, self.scale_obs(obs))
        return output.tanh() if self.head.squashed else output

    def target(self, action: Tensor, obs: Tensor) -> Tensor:
        """The action (B, n) that the critics bootstrap from, given the target policy's action."""
        if self.config.target == "raw":
            return action
        if self.config.target == "projected":
            return rowwise(self.task.constraint.project)(action, obs)
        return self.head.again(action, obs)

    def value(self, critic: Parameters, obs: Tensor, action: Tensor) -> Tensor:
        """Q(s, a), (B, 1), for raw observations and actions in the environment's units."""
        scaled = (action - self.action_middle) / self.action_half
        return perceptron(critic, torch.cat([self.scale_obs(obs), scaled.float()], dim=-1))

    def values(self, critics: Parameters, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Q(s, a) of each of two critics; see :meth:`value`."""
        half = len(critics) // 2
        return self.value(critics[:half], obs, action), self.value(critics[half:], obs, action)

    def penalty(self, action: Tensor, obs: Tensor) -> Tensor:
        """The penalty for violations in the actor's loss, a scalar."""
        if self.config.raw_penalty == 0:
            return torch.zeros(())
        return self.config.raw_penalty * rowwise(self.task.constraint.scaled_violation)(action, obs).mean()

    def _parts(self) -> dict[str, Any]:
        networks = {f"{name}.{index}": tensor for name, some in self.state.items() for index, tensor in enumerate(some)}
        names = ("noise_generator", "replay_generator", "update_generator")
        return networks | {name: getattr(self, name) for name in names}

    def policy_dict(self) -> Tensors:
        """See :meth:`Method.policy_dict`: only the actor."""
        return pack(self._actor())

    def load_policy_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.load_policy_dict`."""
        with self.refusing_others():
            unpack(state, self._actor())

    def _actor(self) -> Tensors:
        return {f"actor.{index}": tensor for index, tensor in enumerate(self.state["actor"])}

    def _replay_state(self) -> Tensors:
        return self.replay.state_dict()

    def _load_replay_state(self, state: Mapping[str, Tensor]) -> None:
        self.replay.load_state_dict(state)
