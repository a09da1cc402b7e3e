"""ARAM: acceptance-rejection with an augmented MDP (Hung et al., ICLR 2025, arXiv 2503.12932).

The policy is sampled until an action is feasible. Rejected samples also train it, as steps that stay in place with a
second, negative reward for violations. SAC weighs the two rewards by a preference, which the policy and the critics
see. The actor maximises over the current and earlier critics and over several preferences, as in Q-Pensieve (Hung et
al., ICLR 2023).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from envs.registry import TaskSpec
from methods.base import Tensors, Transition, register_method
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
from methods.networks import entries
from methods.replay import Batch, ReplayBuffer
from methods.sac import HIGHEST, LOWEST


class ARAMConfig(LearnerConfig):
    """Settings of ARAM; docs/deviations.md lists those that differ from the paper.

    Attributes:
        temperature: Weight of the entropy.
        tries: Maximum number of samples per action.
        accepted_violation: Summed violation up to which a sample is accepted, in the constraint's units.
        rejected_reward: Violation reward of a rejected sample. In its own transition, the task reward is 0.
        rejected_share: Share of rejected samples in a batch, at the start.
        rejected_decay: Factor of that share every ``rejected_decay_steps`` steps.
        actor_samples: Actions per state in the actor's loss.
        preferences: Number of preferences that the actor's loss maximises over, the state's own included.
        past_critics: Number of earlier critics that it maximises over, besides the current one.
        snapshot_after: Updates after which critics are stored.
        snapshot_every: Updates between two stored critics.
        reward_scale: Factor of the task reward that critics learn from.
        reward_shift: Added to it, since a rejected sample's 0 would be worth more than any step with a negative reward.
        preference: Weight of the task reward in evaluation.
    """

    hidden: tuple[PositiveInt, ...] = (256, 256)
    actor_lr: PositiveFloat = 3e-4
    critic_lr: PositiveFloat = 3e-4
    batch_size: PositiveInt = 256
    head: Literal["identity"] = "identity"
    critic_action: Literal["raw"] = "raw"
    target: Literal["raw"] = "raw"
    raw_penalty: NonNegativeFloat = Field(default=0.0, le=0)
    temperature: PositiveFloat = 0.2
    tries: PositiveInt = 100
    accepted_violation: NonNegativeFloat = 0.0
    rejected_reward: float = -0.2
    rejected_share: float = Field(default=0.2, ge=0, lt=1)
    rejected_decay: float = Field(default=0.99, gt=0, le=1)
    rejected_decay_steps: PositiveInt = 10_000
    actor_samples: PositiveInt = 1
    preferences: PositiveInt = 4
    past_critics: NonNegativeInt = 4
    snapshot_after: NonNegativeInt = 20_000
    snapshot_every: PositiveInt = 1_000
    reward_scale: PositiveFloat = 1.0
    reward_shift: float = 0.0
    preference: float = Field(default=0.9, ge=0, le=1)


class TwoBuffers(ReplayBuffer):
    """Executed steps and rejected samples. Rewards of a batch (B, 2) are for the task and for violations.

    Args:
        config: Settings of the method.
        obs_dim: Observation dimension o.
        action_dim: Action dimension n.
    """

    def __init__(self, config: ARAMConfig, obs_dim: int, action_dim: int) -> None:
        super().__init__(config.replay_size, obs_dim, action_dim, rewards=2)
        self.rejected = ReplayBuffer(config.replay_size, obs_dim, action_dim)
        self.config = config
        self.steps = 0

    def add(self, transition: Transition, violation_reward: float = 0.0) -> None:
        """Store an executed step, whose second reward is ``violation_reward``."""
        row = self._row
        super().add(transition)
        self._columns["reward"][row, 1] = violation_reward
        self.steps += 1

    def reject(self, obs: Tensor, action: Tensor) -> None:
        """Store a rejected sample (1, n), which leads back to the same state without ending the episode."""
        reward = self.config.rejected_reward
        self.rejected.add(Transition(obs, action, action, reward, obs, terminated=False, truncated=True))

    def rejected_count(self, count: int) -> int:
        """The number of rejected samples in a batch at this point of training."""
        if not len(self.rejected):
            return 0
        falls = self.steps // self.config.rejected_decay_steps
        return round(count * self.config.rejected_share * self.config.rejected_decay**falls)

    def sample(self, count: int, generator: torch.Generator) -> Batch:
        """Transitions of both kinds, rejected ones last."""
        second = self.rejected_count(count)
        batch = super().sample(count - second, generator)
        if not second:
            return batch
        other = self.rejected.sample(second, generator)
        other = other._replace(reward=torch.cat([torch.zeros_like(other.reward), other.reward], dim=1))
        return Batch(*(torch.cat(pair) for pair in zip(batch, other, strict=True)))

    def state_dict(self) -> Tensors:
        """See :meth:`ReplayBuffer.state_dict`."""
        rejected = {f"rejected.{name}": value for name, value in self.rejected.state_dict().items()}
        return super().state_dict() | rejected | {"steps": torch.tensor(self.steps)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`ReplayBuffer.load_state_dict`."""
        super().load_state_dict(state)
        self.rejected.load_state_dict(entries(state, "rejected"))
        self.steps = int(state["steps"])


@register_method("aram", version=2)
class ARAM(Learner[ARAMConfig]):
    """SAC with two rewards and acceptance-rejection.

    A preference is drawn for each episode, and in updates for each transition. The critics' squared errors are weighted
    by it.

    Attributes:
        preference: Weights (1, 2) of the two rewards in the current episode.
        refused: Samples (k, n) rejected for the last action.
    """

    Config = ARAMConfig
    replay: TwoBuffers

    def __init__(self, task: TaskSpec, config: ARAMConfig, seed: int) -> None:
        super().__init__(task, config, seed)
        self.replay = TwoBuffers(config, len(self.obs_middle), task.constraint.dim)
        self.preference = draw_preferences((1,), self.noise_generator)
        self.refused = torch.empty((0, task.constraint.dim))

    def _new_state(self, obs_dim: int, action_dim: int) -> State:
        hidden = self.config.hidden
        sizes = (obs_dim + action_dim + 2, *hidden, 2)
        state = {"actor": new_network((obs_dim + 2, *hidden, 2 * action_dim))}
        state["critics"] = new_network(sizes) + new_network(sizes)
        copies = ["target_critics", *(f"past_critics.{age}" for age in range(self.config.past_critics))]
        state |= {name: [parameter.clone() for parameter in state["critics"]] for name in copies}
        return with_adam(with_adam(state, "actor"), "critics")

    def gaussian(self, actor: Parameters, obs: Tensor, preference: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation of the latent, (B, n) each; ``preference`` is (B, 2)."""
        inputs = torch.cat([self.scale_obs(obs), preference], dim=-1)
        mean, log_std = perceptron(actor, inputs).chunk(2, dim=-1)
        return mean, log_std.clamp(LOWEST, HIGHEST)

    def sample(self, actor: Parameters, obs: Tensor, preference: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The policy's actions (B, n) for standard normal noise (B, n), and their log densities (B, 1)."""
        mean, log_std = self.gaussian(actor, obs, preference)
        latent = mean + log_std.exp() * noise
        log_prob = self.head.log_prob(latent, mean, log_std, obs)
        return self.head(latent.tanh(), obs), log_prob[:, None]

    def two_values(self, critics: Parameters, obs: Tensor, action: Tensor, preference: Tensor) -> tuple[Tensor, Tensor]:
        """Both critics' values of the two rewards, (B, 2) each."""
        scaled = (action - self.action_middle) / self.action_half
        inputs = torch.cat([self.scale_obs(obs), scaled.float(), preference], dim=-1)
        half = len(critics) // 2
        return perceptron(critics[:half], inputs), perceptron(critics[half:], inputs)

    def policy(self, obs: Tensor) -> Tensor:
        """See :meth:`OffPolicy.policy`: the mean at the preference of evaluation, before repair."""
        weight = self.config.preference
        mean, _ = self.gaussian(self.state["actor"], obs, torch.tensor([[weight, 1 - weight]]).expand(len(obs), 2))
        return self.head(mean.tanh(), obs)

    def shaped_reward(self, transition: Transition) -> float:
        """See :meth:`Learner.shaped_reward`."""
        return self.config.reward_scale * transition.reward + self.config.reward_shift

    def _random_actions(self, obs: Tensor) -> Tensor:
        """The first random action that is feasible, or the last one if none is."""
        return self._accepted(super()._random_actions(obs.repeat(self.config.tries, 1)), obs)

    def _explored(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        """No policy's action; the first feasible sample, or the last one if none is feasible."""
        tries, (rows, n) = self.config.tries, (len(obs), self.task.constraint.dim)
        mean, log_std = self.gaussian(self.state["actor"], obs, self.preference.expand(rows, 2))
        noise = torch.randn((tries, rows, n), generator=self.noise_generator)
        drawn = self.head((mean + log_std.exp() * noise).tanh().flatten(0, 1), obs.repeat(tries, 1))
        return None, self._accepted(drawn, obs)

    def _accepted(self, drawn: Tensor, obs: Tensor) -> Tensor:
        """Of ``tries`` draws for each observation, (tries * B, n), the first feasible ones, else the last: (B, n)."""
        tries, rows = self.config.tries, len(obs)
        allowed = self.config.accepted_violation
        feasible = self.task.constraint.contains(drawn.double(), obs.double().repeat(tries, 1), allowed)
        drawn, feasible = drawn.view(tries, rows, -1), feasible.view(tries, rows)
        first = torch.where(feasible.any(dim=0), feasible.int().argmax(dim=0), tries)
        self.refused = drawn[: first[0], 0]
        return drawn[first.clamp(max=tries - 1), torch.arange(rows)]

    def observe(self, transition: Transition) -> None:
        """See :meth:`Method.observe`; stores the samples rejected for this step, too."""
        # If all were, the last one was executed after repair.
        second = self.config.rejected_reward if len(self.refused) == self.config.tries else 0.0
        for action in self.refused:
            self.replay.reject(transition.obs, action[None])
        self.refused = self.refused[:0]
        self.replay.add(transition._replace(action=transition.behaviour, reward=self.shaped_reward(transition)), second)
        self.steps += 1
        if transition.terminated or transition.truncated:
            self.preference = draw_preferences((1,), self.noise_generator)

    def draw_noise(self, count: int) -> tuple[Tensor, ...]:
        """Noise for samples (S, B, n) and for samples at the next observations (B, n), and preferences (P, B, 2).

        The first preference is the one that the critics learn for.
        """
        config, n = self.config, self.task.constraint.dim
        samples = torch.randn((config.actor_samples, count, n), generator=self.update_generator)
        following = torch.randn((count, n), generator=self.update_generator)
        return samples, following, draw_preferences((config.preferences, count), self.update_generator)

    def update_state(
        self, state: State, batch: Batch, noise: tuple[Tensor, ...], turn: int, backend: Backend = PURE
    ) -> tuple[State, Tensors]:
        """See :meth:`Learner.update_state`."""
        config = self.config
        samples, following, preferences = noise
        target = self.bootstrapped(state, batch, following, preferences[0])

        def critic_loss(critics: Parameters) -> Tensor:
            one, other = self.two_values(critics, batch.obs, batch.action, preferences[0])
            errors = (one - target).square() + (other - target).square()
            return (preferences[0] * errors).sum(dim=1).mean()

        slopes, loss = backend.gradient(critic_loss, state["critics"])
        state = adam_step(state, "critics", slopes, config.critic_lr, backend)
        losses = {"critic_loss": loss}
        kept = (turn - 1) // config.snapshot_every - config.snapshot_after // config.snapshot_every
        kept = min(config.past_critics, max(kept, 0))
        pool = [state["critics"], *(state[f"past_critics.{age}"] for age in range(kept))]
        slopes, losses["actor_loss"] = backend.gradient(
            lambda actor: self.actor_loss(actor, pool, batch.obs, samples, preferences), state["actor"]
        )
        state = adam_step(state, "actor", slopes, config.actor_lr, backend)
        if turn > config.snapshot_after and turn % config.snapshot_every == 0:
            # A copy, since updates and loading a state write to each network in place.
            newest = [tensor.clone() for tensor in state["critics"]]
            newest_first = [newest, *(state[f"past_critics.{age}"] for age in range(config.past_critics))]
            state = state | {f"past_critics.{age}": newest_first[age] for age in range(config.past_critics)}
        return {**state, "target_critics": follow(state["target_critics"], state["critics"], config.tau)}, losses

    def bootstrapped(self, state: State, batch: Batch, noise: Tensor, preference: Tensor) -> Tensor:
        """The critics' targets (B, 2), from the target critic with the smaller value under the preference."""
        action, log_prob = self.sample(state["actor"], batch.next_obs, preference, noise)
        one, other = self.two_values(state["target_critics"], batch.next_obs, action, preference)
        less = (preference * (one - other)).sum(dim=1, keepdim=True) <= 0
        value = torch.where(less, one, other) - self.config.temperature * log_prob
        return batch.reward + self.config.gamma * (1 - batch.terminated) * value

    def actor_loss(
        self, actor: Parameters, pool: list[Parameters], obs: Tensor, noise: Tensor, preferences: Tensor
    ) -> Tensor:
        """``T log pi - min(lambda' Q1, lambda' Q2)``, with the best critics and preferences at each state.

        Args:
            actor: Parameters of the actor, which acts for the first preference.
            pool: Critics, in pairs.
            obs: (B, o).
            noise: Noise of the samples, (S, B, n).
            preferences: Preferences to maximise over, (P, B, 2), starting with lambda.
        """
        (count, rows, _), own = noise.shape, preferences[0]
        obs, weights = obs.repeat(count, 1), own.repeat(count, 1)
        action, log_prob = self.sample(actor, obs, weights, noise.flatten(0, 1))
        hopes = []
        for critics in pool:
            for preference in preferences:
                one, other = self.two_values(critics, obs, action, preference.repeat(count, 1))
                value = torch.minimum((weights * one).sum(dim=1), (weights * other).sum(dim=1))
                hopes.append(value.view(count, rows).mean(dim=0))
        entropy = log_prob.view(count, rows).mean(dim=0)
        return (self.config.temperature * entropy - torch.stack(hopes).amax(dim=0)).mean()

    def _parts(self) -> dict[str, Any]:
        return super()._parts() | {"preference": self.preference}


def draw_preferences(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Weights (..., 2) of two rewards, from Dirichlet(1, 1): the first is uniform, both sum to 1."""
    first = torch.rand((*shape, 1), generator=generator)
    return torch.cat([first, 1 - first], dim=-1)
