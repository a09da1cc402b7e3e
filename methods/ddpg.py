"""The DDPG learner that every shipped method stands on (Lillicrap et al., 2016, arXiv 1509.02971).

A method differs from it in what the actor's output means (:meth:`DDPG.decode`), in how the actor learns
(:meth:`DDPG.actor_loss`), in the action it bootstraps from and in the reward that the critic sees.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
import torch
from gymnasium.spaces import Box
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import derive_seed, make_generator
from methods.base import Method, MethodConfig, Tensors, Transition
from methods.replay import ReplayBuffer


class DDPGConfig(MethodConfig):
    """Settings shared by all methods; defaults are those of FlowPG's experiments (arXiv 2402.05149).

    Attributes:
        warmup: Steps of uniformly random actions before learning starts.
        noise: Standard deviation of the exploration noise, in the environment's action units.
    """

    hidden: tuple[PositiveInt, ...] = (400, 300)
    actor_lr: PositiveFloat = 1e-3
    critic_lr: PositiveFloat = 1e-3
    batch_size: PositiveInt = 100
    gamma: float = Field(default=0.99, gt=0, le=1)
    tau: float = Field(default=0.005, gt=0, le=1)
    replay_size: PositiveInt = 1_000_000
    warmup: PositiveInt = 10_000
    noise: NonNegativeFloat = 0.1


D = TypeVar("D", bound=DDPGConfig)


def mlp(sizes: Iterable[int], last: nn.Module) -> nn.Sequential:
    """A ReLU network with the given layer sizes, ending in ``last``."""
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(sizes):
        layers += [nn.Linear(width_in, width_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1], last)


class DDPG(Method[D]):
    """Deterministic policy gradient whose critic learns the value of the action that was executed.

    Networks work on scaled inputs: actions by the action box to [-1, 1], observations likewise where their space is
    bounded. An episode that was truncated is bootstrapped from, one that was terminated is not.
    """

    Config = DDPGConfig

    def __init__(self, task: TaskSpec, config: D, seed: int) -> None:
        super().__init__(task, config, seed)
        constraint = task.constraint
        self.action_middle = torch.as_tensor((constraint.upper + constraint.lower) / 2, dtype=torch.float32)
        self.action_half = torch.as_tensor((constraint.upper - constraint.lower) / 2, dtype=torch.float32)
        self.obs_middle, self.obs_half = observation_scale(task)
        self.noise_generator = make_generator(seed, "noise")
        self.replay_generator = make_generator(seed, "replay")
        obs_dim, n = len(self.obs_middle), constraint.dim
        # torch initialises layers from its global generator: lend it a seeded state and give the old one back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "networks"))
            self.actor = mlp((obs_dim, *config.hidden, self.actor_outputs()), nn.Tanh())
            self.critic = mlp((obs_dim + n, *config.hidden, 1), nn.Identity())
            self.target_actor = mlp((obs_dim, *config.hidden, self.actor_outputs()), nn.Tanh()).requires_grad_(False)
            self.target_critic = mlp((obs_dim + n, *config.hidden, 1), nn.Identity()).requires_grad_(False)
        self.target_actor.load_state_dict(self.actor.state_dict())
        self.target_critic.load_state_dict(self.critic.state_dict())
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), lr=config.actor_lr, fused=True)
        self.critic_optimizer = torch.optim.Adam(self.critic.parameters(), lr=config.critic_lr, fused=True)
        self._follow = get_ema_multi_avg_fn(1 - config.tau)  # type: ignore[no-untyped-call]
        pairs = ((self.target_actor, self.actor), (self.target_critic, self.critic))
        self._followers = [(list(target.parameters()), list(network.parameters())) for target, network in pairs]
        self.replay = ReplayBuffer(config.replay_size, obs_dim, n)
        self.steps = 0

    # --- what a method may change ------------------------------------------------------------------------------

    def actor_outputs(self) -> int:
        """Width of the actor's tanh output."""
        return self.task.constraint.dim

    def decode(self, output: Tensor, obs: Tensor) -> Tensor:
        """Actions (B, n) in the environment's units for the actor's outputs in [-1, 1] and raw observations.

        Observations come in the environment's precision: a constraint that is kept to the last bit is kept at these.
        """
        del obs
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

    # --- Method ------------------------------------------------------------------------------------------------

    def policy(self, obs: Tensor) -> Tensor:
        """The policy's action (B, n), differentiable in the actor's parameters."""
        return self.decode(self.actor(self.scale_obs(obs)), obs)

    @torch.no_grad()
    def act(self, obs: Tensor, explore: bool) -> Tensor:
        """See :meth:`Method.act`."""
        policy, behaviour = self.act_pair(obs) if explore else (self.policy(obs), None)
        chosen = behaviour if behaviour is not None else policy
        assert chosen is not None
        return chosen

    @torch.no_grad()
    def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        """See :meth:`Method.act_pair`; the warm-up's random actions are uniform on the action box."""
        shape = (obs.shape[0], self.task.constraint.dim)
        if self.steps < self.config.warmup:
            uniform = 2 * torch.rand(shape, generator=self.noise_generator) - 1
            return None, self.action_middle + self.action_half * uniform
        action = self.policy(obs)
        noise = torch.randn(shape, generator=self.noise_generator, dtype=action.dtype)
        return action, action + self.config.noise * noise

    def observe(self, transition: Transition) -> None:
        """See :meth:`Method.observe`."""
        self.replay.add(transition._replace(reward=self.shaped_reward(transition)))
        self.steps += 1

    def update(self) -> dict[str, float]:
        """One step of the critic, one of the actor, then of the targets."""
        if self.steps < self.config.warmup or not len(self.replay):
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

    def scale_obs(self, obs: Tensor) -> Tensor:
        """What the networks see of an observation, float32."""
        return (obs.float() - self.obs_middle) / self.obs_half

    def _parts(self) -> dict[str, nn.Module]:
        return {
            "actor": self.actor,
            "critic": self.critic,
            "target_actor": self.target_actor,
            "target_critic": self.target_critic,
        }

    def state_dict(self) -> Tensors:
        """See :meth:`Method.state_dict`."""
        state: Tensors = {"steps": torch.tensor(self.steps)}
        for name, network in self._parts().items():
            state |= {f"{name}.{key}": value.clone() for key, value in network.state_dict().items()}
        for name, optimizer in (("actor", self.actor_optimizer), ("critic", self.critic_optimizer)):
            for index, moments in optimizer.state_dict()["state"].items():
                state |= {f"{name}_optimizer.{index}.{key}": value.clone() for key, value in moments.items()}
        state["noise_generator"] = self.noise_generator.get_state()
        state["replay_generator"] = self.replay_generator.get_state()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.load_state_dict`."""
        try:
            for name, network in self._parts().items():
                network.load_state_dict(entries(state, f"{name}."))
            for name, optimizer in (("actor", self.actor_optimizer), ("critic", self.critic_optimizer)):
                moments: dict[int, Tensors] = {}
                for key, value in entries(state, f"{name}_optimizer.").items():
                    index, moment = key.split(".")
                    moments.setdefault(int(index), {})[moment] = value.clone()
                optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
            self.noise_generator.set_state(state["noise_generator"])
            self.replay_generator.set_state(state["replay_generator"])
            self.steps = int(state["steps"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"this state does not belong to method '{self.id}' on {self.task.id}: {reason}") from error

    def checkpoint_dict(self) -> Tensors:
        """See :meth:`Method.checkpoint_dict`; with the replay buffer."""
        return self.state_dict() | {f"replay.{name}": value for name, value in self.replay.state_dict().items()}

    def load_checkpoint_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.load_checkpoint_dict`."""
        self.load_state_dict(state)
        try:
            self.replay.load_state_dict(entries(state, "replay."))
        except (KeyError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"this checkpoint's replay buffer does not fit method '{self.id}': {reason}") from error


def entries(state: Mapping[str, Tensor], prefix: str) -> Tensors:
    """The entries under ``prefix``, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def minimise(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """One optimiser step; only its own parameters get gradients, so the actor's step leaves the critic alone."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()


def observation_scale(task: TaskSpec) -> tuple[Tensor, Tensor]:
    """Middle and half-width (o,) of a bounded observation space; 0 and 1 where an entry is unbounded."""
    env = task.make_env()
    space = env.observation_space
    env.close()
    assert isinstance(space, Box)
    bounded = np.isfinite(space.low) & np.isfinite(space.high) & (space.low < space.high)
    low, high = np.where(bounded, space.low, -1.0), np.where(bounded, space.high, 1.0)
    middle, half = (high + low) / 2, (high - low) / 2
    return torch.as_tensor(middle, dtype=torch.float32), torch.as_tensor(half, dtype=torch.float32)
