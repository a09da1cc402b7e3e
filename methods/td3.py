"""TD3: two critics, a smoothed target, a delayed actor (Fujimoto et al., ICML 2018, arXiv 1802.09477).

The learner of ACRL-bench's DPro, DPre, DOpt, DAlpha and DRad (Kasaura et al., 2023, arXiv 2304.08743).
"""

from __future__ import annotations

from typing import Literal, TypeVar

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import mse_loss

from methods.base import Tensors
from methods.functional import (
    Gradient,
    Parameters,
    State,
    adam_step,
    by_autograd,
    follow,
    new_network,
    perceptron,
    with_adam,
)
from methods.learner import Learner, LearnerConfig
from methods.off_policy import NoisyConfig
from methods.replay import Batch


class TD3Config(LearnerConfig, NoisyConfig):
    """Settings of TD3; defaults are those of the paper.

    Attributes:
        noise_at: Where exploration noise is added: to the action, or to the actor's output before the head. Noise on
            outputs is in the action's units, too.
        policy_delay: Critic steps for each step of the actor and the targets.
        target_noise: Standard deviation of the noise on the target policy's action, in units of half the action box.
        target_noise_clip: Where that noise is clipped.
    """

    noise_at: Literal["action", "output"] = "action"
    policy_delay: PositiveInt = 2
    target_noise: NonNegativeFloat = 0.2
    target_noise_clip: NonNegativeFloat = 0.5


T = TypeVar("T", bound=TD3Config)
NETWORKS = ("actor", "critics")


class TD3(Learner[T]):
    """TD3 behind an action head."""

    def _new_state(self, obs_dim: int, action_dim: int) -> State:
        actor = new_network((obs_dim, *self.config.hidden, self.head.outputs))
        sizes = (obs_dim + action_dim, *self.config.hidden, 1)
        critics = new_network(sizes) + new_network(sizes)
        state = {"actor": actor, "critics": critics}
        state |= {f"target_{name}": [parameter.clone() for parameter in state[name]] for name in NETWORKS}
        return with_adam(with_adam(state, "actor"), "critics")

    def output(self, actor: Parameters, obs: Tensor) -> Tensor:
        """The actor's output (B, k) for raw observations."""
        output = perceptron(actor, self.scale_obs(obs))
        return output.tanh() if self.head.squashed else output

    def policy(self, obs: Tensor) -> Tensor:
        """See :meth:`OffPolicy.policy`."""
        return self.head(self.output(self.state["actor"], obs), obs)

    def _explored(self, policy: Tensor, obs: Tensor) -> Tensor:
        if self.config.noise_at == "action":
            explored = super()._explored(policy, obs)
            # A critic that learns from raw actions is not shown what no action space has.
            return self.to_box(explored) if self.config.critic_action == "raw" else explored
        output = self.output(self.state["actor"], obs)
        noise = torch.randn(output.shape, generator=self.noise_generator)
        return self.head(self.head.shifted(output, self.config.noise * noise), obs)

    def draw_noise(self, count: int) -> tuple[Tensor, ...]:
        """Standard normal (B, n), for the target policy's smoothing."""
        return (torch.randn((count, self.task.constraint.dim), generator=self.update_generator),)

    def update_state(
        self, state: State, batch: Batch, noise: tuple[Tensor, ...], turn: int, gradient: Gradient = by_autograd
    ) -> tuple[State, Tensors]:
        """See :meth:`Learner.update_state`."""
        config = self.config
        next_action = self.target_action(state["target_actor"], batch.next_obs, noise[0])
        value = torch.minimum(*self.values(state["target_critics"], batch.next_obs, next_action))
        target = batch.reward + config.gamma * (1 - batch.terminated) * value

        def critic_loss(critics: Parameters) -> Tensor:
            one, other = self.values(critics, batch.obs, batch.action)
            return mse_loss(one, target) + mse_loss(other, target)

        slopes, loss = gradient(critic_loss, state["critics"])
        state = adam_step(state, "critics", slopes, config.critic_lr)
        losses = {"critic_loss": loss}
        if turn % config.policy_delay == 0:

            def actor_loss(actor: Parameters) -> Tensor:
                action = self.head(self.output(actor, batch.obs), batch.obs)
                return self.penalty(action, batch.obs) - self.values(state["critics"], batch.obs, action)[0].mean()

            slopes, losses["actor_loss"] = gradient(actor_loss, state["actor"])
            state = adam_step(state, "actor", slopes, config.actor_lr)
            targets = {f"target_{name}": follow(state[f"target_{name}"], state[name], config.tau) for name in NETWORKS}
            state = {**state, **targets}
        return state, losses

    def target_action(self, actor: Parameters, obs: Tensor, noise: Tensor) -> Tensor:
        """The action (B, n) that the critics bootstrap from."""
        config = self.config
        smoothing = (config.target_noise * noise).clamp(-config.target_noise_clip, config.target_noise_clip)
        return self.target(self.head(self.output(actor, obs), obs) + self.action_half * smoothing, obs)
