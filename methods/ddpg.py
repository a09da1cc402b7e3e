"""The DDPG learner that most shipped methods stand on (Lillicrap et al., 2016, arXiv 1509.02971).

A method differs from it in what the actor's output means (:meth:`DDPG.decode`), in how the actor learns
(:meth:`DDPG.actor_loss`), in the action it bootstraps from and in the reward that the critic sees.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from envs.registry import TaskSpec
from envs.seeding import derive_seed, make_generator
from methods.base import Tensors, Transition
from methods.networks import mlp
from methods.off_policy import NoisyConfig, OffPolicy
from methods.replay import ReplayBuffer


class DDPGConfig(NoisyConfig):
    """Settings that all methods on this learner share."""


D = TypeVar("D", bound=DDPGConfig)
NETWORKS = ("actor", "critic", "target_actor", "target_critic")
PARTS = (*NETWORKS, "actor_optimizer", "critic_optimizer", "noise_generator", "replay_generator")


class DDPG(OffPolicy[D]):
    """Deterministic policy gradient whose critic learns the value of the action that was executed.

    Networks work on scaled inputs: actions by the action box to [-1, 1], observations as :class:`OffPolicy` has it. An
    episode that was truncated is bootstrapped from, one that was terminated is not.
    """

    Config = DDPGConfig
    counters = ("steps",)

    def __init__(self, task: TaskSpec, config: D, seed: int) -> None:
        super().__init__(task, config, seed)
        self.replay_generator = make_generator(seed, "replay")
        obs_dim, n = len(self.obs_middle), task.constraint.dim
        # torch initialises layers from its global generator: lend it a seeded state and give the old one back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "networks"))
            self.actor = mlp((obs_dim, *config.hidden, self.actor_outputs()), nn.Tanh())
            self.critic = mlp((obs_dim + n, *config.hidden, 1), nn.Identity())
        self.target_actor, self.target_critic = (
            copy.deepcopy(network).requires_grad_(False) for network in (self.actor, self.critic)
        )
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=config.actor_lr, fused=True)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=config.critic_lr, fused=True)
        self._follow = get_ema_multi_avg_fn(1 - config.tau)  # type: ignore[no-untyped-call]
        pairs = ((self.target_actor, self.actor), (self.target_critic, self.critic))
        self._followers = [(list(target.parameters()), list(network.parameters())) for target, network in pairs]
        self.replay = ReplayBuffer(config.replay_size, obs_dim, n)
        self.steps = 0

    def actor_outputs(self) -> int:
        """See :meth:`OffPolicy.actor_outputs`; the actor ends in a tanh."""
        return self.task.constraint.dim

    def decode(self, output: Tensor, obs: Tensor) -> Tensor:  # noqa: ARG002
        """Actions (B, n) in the environment's units for the actor's outputs in [-1, 1] and raw observations.

        Observations come in the environment's precision: a constraint that is kept to the last bit is kept at these.
        """
        return self.action_middle + self.action_half * output

    def target_action(self, obs: Tensor) -> Tensor:
        """The target policy's action (B, n) that the critic bootstraps from."""
        return self.decode(self.target_actor(self.scale_obs(obs)), obs)

    def actor_loss(self, obs: Tensor) -> Tensor:
        """Deterministic policy gradient: -Q(s, a(s)), averaged over the batch."""
        return -self.q_value(self.critic, obs, self.policy(obs)).mean()

    def shaped_reward(self, transition: Transition) -> float:
        """The reward that the critic learns from."""
        return transition.reward

    def policy(self, obs: Tensor) -> Tensor:
        """The policy's action (B, n), differentiable in the actor's parameters."""
        return self.decode(self.actor(self.scale_obs(obs)), obs)

    def observe(self, transition: Transition) -> None:
        """See :meth:`Method.observe`."""
        self.replay.add(transition._replace(reward=self.shaped_reward(transition)))
        self.steps += 1

    def update(self) -> dict[str, float]:
        """One step of the critic, one of the actor, then of the targets."""
        if self.warming_up or not len(self.replay):
            return {}
        batch = self.replay.sample(self.config.batch_size, self.replay_generator)
        with torch.no_grad():
            next_value = self.q_value(self.target_critic, batch.next_obs, self.target_action(batch.next_obs))
            target = batch.reward + self.config.gamma * (1 - batch.terminated) * next_value
        critic_loss = nn.functional.mse_loss(self.q_value(self.critic, batch.obs, batch.action), target)
        minimise(critic_loss, self.critic_optimizer)
        actor_loss = self.actor_loss(batch.obs)
        minimise(actor_loss, self.actor_optimizer)
        with torch.no_grad():
            for targets, parameters in self._followers:
                self._follow(targets, parameters, self.steps)
        return {"critic_loss": critic_loss.item(), "actor_loss": actor_loss.item()}

    def q_value(self, critic: nn.Module, obs: Tensor, action: Tensor) -> Tensor:
        """Q(s, a), shape (B, 1), for raw observations and actions in the environment's units."""
        scaled = (action - self.action_middle) / self.action_half
        value: Tensor = critic(torch.cat([self.scale_obs(obs), scaled.float()], dim=1))
        return value

    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PARTS}

    def _replay_state(self) -> Tensors:
        return self.replay.state_dict()

    def _load_replay_state(self, state: Mapping[str, Tensor]) -> None:
        self.replay.load_state_dict(state)


def minimise(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One optimiser step; only its own parameters get gradients, so the actor's step leaves the critic alone."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()
