"""DDPG (Lillicrap et al., 2016, arXiv 1509.02971), the learner behind most shipped methods.

Methods built on it differ in the action head, the actor's loss (:meth:`DDPG.actor_loss`), the action used for
bootstrapping (the setting ``target``) and the reward that the critic sees.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from methods.base import Tensors
from methods.functional import PURE, Backend, Gradient, Parameters, State, adam_step, follow, new_network, with_adam
from methods.learner import Learner, LearnerConfig
from methods.off_policy import NoisyConfig
from methods.replay import Batch

NoiseAt: TypeAlias = Literal["action", "output"]


class DDPGConfig(LearnerConfig, NoisyConfig):
    """Settings of learners with a deterministic policy.

    Attributes:
        noise_at: Where exploration noise is added: to the action, or to the actor's output before the head. Both are in
            action units.
    """

    noise_at: NoiseAt = "action"


D = TypeVar("D", bound=DDPGConfig)
NETWORKS = ("actor", "critic")


class DDPG(Learner[D]):
    """Deep deterministic policy gradient: the actor maximises the critic's value of its action."""

    def _new_state(self, obs_dim: int, action_dim: int) -> State:
        actor = new_network((obs_dim, *self.config.hidden, self.head.outputs))
        state = {"actor": actor, "critic": new_network((obs_dim + action_dim, *self.config.hidden, 1))}
        return self.with_targets(state)

    @staticmethod
    def with_targets(state: State) -> State:
        """Networks with their targets, which start as copies, and the moments of their optimisers."""
        targets = {f"target_{name}": [parameter.clone() for parameter in network] for name, network in state.items()}
        for name in tuple(state):
            state = with_adam(state, name)
        return state | targets

    def policy(self, obs: Tensor) -> Tensor:
        """See :meth:`OffPolicy.policy`."""
        return self.action(self.state["actor"], obs)

    def action(self, actor: Parameters, obs: Tensor) -> Tensor:
        """An actor's actions (B, n) in the environment's units, for raw observations."""
        return self.decode(self.output(actor, obs), obs)

    def _explored(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        if self.config.noise_at == "action":
            policy, explored = super()._explored(obs)
            # A critic that learns from raw actions must not see actions outside the action space.
            return policy, self.to_box(explored) if self.config.critic_action == "raw" else explored
        output = self.output(self.state["actor"], obs)
        noise = torch.randn(output.shape, generator=self.noise_generator)
        return None, self.decode(self.head.shifted(output, self.config.noise * noise), obs)

    def draw_noise(self, count: int) -> tuple[Tensor, ...]:  # noqa: ARG002
        """Nothing."""
        return ()

    def target_action(self, actor: Parameters, obs: Tensor, noise: tuple[Tensor, ...]) -> Tensor:  # noqa: ARG002
        """The action (B, n) that critics bootstrap from, by the target actor, with :meth:`draw_noise`'s numbers."""
        return self.target(self.action(actor, obs), obs)

    def actor_loss(self, output: Tensor, state: State, obs: Tensor, gradient: Gradient) -> Tensor:  # noqa: ARG002
        """Deterministic policy gradient: -Q(s, a(s)), averaged over the batch.

        Args:
            output: The actor's output, (B, k), which the loss is differentiated by.
            state: The other networks.
            obs: (B, o).
            gradient: How to differentiate by other variables.
        """
        action = self.decode(output, obs)
        return self.penalty(action, obs) - self.climbed(state, obs, action).mean()

    def climbed(self, state: State, obs: Tensor, action: Tensor) -> Tensor:
        """The value (B, 1) that the actor maximises."""
        return self.value(state["critic"], obs, action)

    def update_state(
        self,
        state: State,
        batch: Batch,
        noise: tuple[Tensor, ...],
        turn: int,  # noqa: ARG002
        backend: Backend = PURE,
    ) -> tuple[State, Tensors]:
        """See :meth:`Learner.update_state`: one step of the critic, then of the actor, then of the targets."""
        config = self.config
        next_action = self.target_action(state["target_actor"], batch.next_obs, noise)
        next_value = self.value(state["target_critic"], batch.next_obs, next_action)
        target = batch.reward + config.gamma * (1 - batch.terminated) * next_value

        def critic_loss(critic: Parameters) -> Tensor:
            return mse_loss(self.value(critic, batch.obs, batch.action), target)

        slopes, of_critic = backend.gradient(critic_loss, state["critic"])
        state = adam_step(state, "critic", slopes, config.critic_lr, backend)

        def actor_loss(actor: Parameters) -> Tensor:
            return self.actor_loss(self.output(actor, batch.obs), state, batch.obs, backend.gradient)

        slopes, of_actor = backend.gradient(actor_loss, state["actor"])
        state = adam_step(state, "actor", slopes, config.actor_lr, backend)
        return self.followed(state, NETWORKS), {"critic_loss": of_critic, "actor_loss": of_actor}

    def followed(self, state: State, names: tuple[str, ...]) -> State:
        """The state after an update of the target networks with these names."""
        targets = {f"target_{name}": follow(state[f"target_{name}"], state[name], self.config.tau) for name in names}
        return {**state, **targets}
