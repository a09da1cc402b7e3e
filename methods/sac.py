"""SAC: a stochastic policy that maximises return and entropy (Haarnoja et al., 2018, arXiv 1812.05905).

The learner of ACRL-bench's SPre, SAlpha and SRad (Kasaura et al., 2023, arXiv 2304.08743).
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypeVar

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import mse_loss

from methods.base import Tensors
from methods.functional import (
    PURE,
    Backend,
    Parameters,
    State,
    adam_step,
    follow,
    new_network,
    perceptron,
    with_adam,
)
from methods.learner import Learner, LearnerConfig
from methods.replay import Batch

# Heads whose actions have a density, which the entropy needs.
DensityHeadName: TypeAlias = Literal["identity", "alpha", "radial", "gauge"]
# Bounds of the logarithm of the standard deviation, as in all common implementations.
LOWEST, HIGHEST = -20.0, 2.0


class SACConfig(LearnerConfig):
    """Settings of SAC; defaults are those of the paper.

    The temperature is learned for a target entropy of -k, with k the width of the head's output. There is no noise
    setting, because the policy is stochastic.
    """

    head: DensityHeadName = "identity"
    hidden: tuple[PositiveInt, ...] = (256, 256)
    actor_lr: PositiveFloat = 3e-4
    critic_lr: PositiveFloat = 3e-4
    batch_size: PositiveInt = 256


S = TypeVar("S", bound=SACConfig)


class SAC(Learner[S]):
    """SAC with an action head that has a density; entropies are those of actions."""

    def _new_state(self, obs_dim: int, action_dim: int) -> State:
        sizes = (obs_dim + action_dim, *self.config.hidden, 1)
        state = {"actor": new_network((obs_dim, *self.config.hidden, 2 * self.head.outputs))}
        state["critics"] = new_network(sizes) + new_network(sizes)
        state["target_critics"] = [parameter.clone() for parameter in state["critics"]]
        state["log_temperature"] = [torch.zeros(())]
        for name in ("actor", "critics", "log_temperature"):
            state = with_adam(state, name)
        return state

    def policy(self, obs: Tensor) -> Tensor:
        """See :meth:`OffPolicy.policy`: the action of the Gaussian's mean."""
        mean, _ = self.gaussian(self.state["actor"], obs)
        return self.head(self.squash(mean), obs)

    def _explored(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        mean, log_std = self.gaussian(self.state["actor"], obs)
        noise = torch.randn(mean.shape, generator=self.noise_generator)
        return None, self.head(self.squash(mean + log_std.exp() * noise), obs)

    def gaussian(self, actor: Parameters, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation of the latent, (B, k) each, for raw observations."""
        mean, log_std = perceptron(actor, self.scale_obs(obs)).chunk(2, dim=-1)
        return mean, log_std.clamp(LOWEST, HIGHEST)

    def squash(self, latent: Tensor) -> Tensor:
        """The head's output for a latent."""
        return latent.tanh() if self.head.squashed else latent

    def sample(self, actor: Parameters, obs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The policy's actions (B, n) for standard normal noise (B, k), and their log densities (B, 1)."""
        mean, log_std = self.gaussian(actor, obs)
        latent = mean + log_std.exp() * noise
        log_prob = self.head.log_prob(latent, mean, log_std, obs)
        return self.head(self.squash(latent), obs), log_prob[:, None]

    def draw_noise(self, count: int) -> tuple[Tensor, ...]:
        """Standard normal (B, k), for the policy's actions at the observations and at the next observations."""
        first, second = torch.randn((2, count, self.head.outputs), generator=self.update_generator)
        return first, second

    def update_state(
        self,
        state: State,
        batch: Batch,
        noise: tuple[Tensor, ...],
        turn: int,  # noqa: ARG002
        backend: Backend = PURE,
    ) -> tuple[State, Tensors]:
        """See :meth:`Learner.update_state`."""
        config = self.config
        temperature = state["log_temperature"][0].exp()
        _, log_prob = self.sample(state["actor"], batch.obs, noise[0])
        next_action, next_log_prob = self.sample(state["actor"], batch.next_obs, noise[1])
        next_action = self.target(next_action, batch.next_obs)
        value = torch.minimum(*self.values(state["target_critics"], batch.next_obs, next_action))
        value = value - temperature * next_log_prob
        target = batch.reward + config.gamma * (1 - batch.terminated) * value

        def temperature_loss(log_temperature: Parameters) -> Tensor:
            return -(log_temperature[0] * (log_prob - self.head.outputs)).mean()

        def critic_loss(critics: Parameters) -> Tensor:
            one, other = self.values(critics, batch.obs, batch.action)
            return (mse_loss(one, target) + mse_loss(other, target)) / 2

        def actor_loss(actor: Parameters) -> Tensor:
            action, log_prob = self.sample(actor, batch.obs, noise[0])
            value = torch.minimum(*self.values(state["critics"], batch.obs, action))
            return (temperature * log_prob - value).mean() + self.penalty(action, batch.obs)

        losses = {}
        for name, loss, rate in (
            ("log_temperature", temperature_loss, config.actor_lr),
            ("critics", critic_loss, config.critic_lr),
            ("actor", actor_loss, config.actor_lr),
        ):
            slopes, losses[f"{name}_loss"] = backend.gradient(loss, state[name])
            state = adam_step(state, name, slopes, rate, backend)
        followed = follow(state["target_critics"], state["critics"], config.tau)
        return {**state, "target_critics": followed}, losses | {"temperature": temperature}
