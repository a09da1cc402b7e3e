"""TD3: two critics, a smoothed target, a delayed actor (Fujimoto et al., ICML 2018, arXiv 1802.09477).

The learner of ACRL-bench's DPro, DPre, DOpt, DAlpha and DRad (Kasaura et al., 2023, arXiv 2304.08743).
"""

from __future__ import annotations

from typing import TypeVar

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import mse_loss

from methods.base import Tensors
from methods.ddpg import DDPG, DDPGConfig
from methods.functional import PURE, Backend, Parameters, State, adam_step, new_network
from methods.replay import Batch


class TD3Config(DDPGConfig):
    """Settings of TD3; defaults are those of the paper.

    Attributes:
        policy_delay: Critic steps per step of the actor and the targets.
        target_noise: Standard deviation of the noise on the target policy's action, in units of half the action box.
        target_noise_clip: Where that noise is clipped.
    """

    policy_delay: PositiveInt = 2
    target_noise: NonNegativeFloat = 0.2
    target_noise_clip: NonNegativeFloat = 0.5


T = TypeVar("T", bound=TD3Config)
NETWORKS = ("actor", "critics")


class TD3(DDPG[T]):
    """DDPG with two critics, whose smaller value is the target."""

    def _new_state(self, obs_dim: int, action_dim: int) -> State:
        actor = new_network((obs_dim, *self.config.hidden, self.head.outputs))
        sizes = (obs_dim + action_dim, *self.config.hidden, 1)
        return self.with_targets({"actor": actor, "critics": new_network(sizes) + new_network(sizes)})

    def draw_noise(self, count: int) -> tuple[Tensor, ...]:
        """Standard normal (B, n), for the smoothing of the target policy."""
        return (torch.randn((count, self.task.constraint.dim), generator=self.update_generator),)

    def target_action(self, actor: Parameters, obs: Tensor, noise: tuple[Tensor, ...]) -> Tensor:
        """See :meth:`DDPG.target_action`.

        A raw action is clipped to the action box, as in the released code.
        """
        clip = self.config.target_noise_clip
        smoothing = (self.config.target_noise * noise[0]).clamp(-clip, clip)
        action = self.action(actor, obs) + self.action_half * smoothing
        return self.to_box(action) if self.config.target == "raw" else self.target(action, obs)

    def climbed(self, state: State, obs: Tensor, action: Tensor) -> Tensor:
        """See :meth:`DDPG.climbed`; by the first critic."""
        return self.values(state["critics"], obs, action)[0]

    def update_state(
        self, state: State, batch: Batch, noise: tuple[Tensor, ...], turn: int, backend: Backend = PURE
    ) -> tuple[State, Tensors]:
        """See :meth:`Learner.update_state`."""
        config = self.config
        next_action = self.target_action(state["target_actor"], batch.next_obs, noise)
        next_value = torch.minimum(*self.values(state["target_critics"], batch.next_obs, next_action))
        target = batch.reward + config.gamma * (1 - batch.terminated) * next_value

        def critic_loss(critics: Parameters) -> Tensor:
            one, other = self.values(critics, batch.obs, batch.action)
            return mse_loss(one, target) + mse_loss(other, target)

        slopes, loss = backend.gradient(critic_loss, state["critics"])
        state = adam_step(state, "critics", slopes, config.critic_lr, backend)
        losses = {"critic_loss": loss}

        def actor_loss(actor: Parameters) -> Tensor:
            return self.actor_loss(self.output(actor, batch.obs), state, batch.obs, backend.gradient)

        if turn % config.policy_delay == 0:
            slopes, losses["actor_loss"] = backend.gradient(actor_loss, state["actor"])
            state = self.followed(adam_step(state, "actor", slopes, config.actor_lr, backend), NETWORKS)
        return state, losses
