"""Off-policy algorithms of stable-baselines3 (Raffin et al., JMLR 2021) as methods, none of them rewritten.

The algorithm never steps an environment: it is made for the spaces of the task, its replay buffer is filled with the
transitions of the harness, and its own ``train`` makes the gradient steps. As with DDPG+projection the executed action
is the feasible point nearest to what the policy asks for, the critic learns from executed actions, and targets are
bootstrapped from the policy's action, unprojected.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import make_generator
from methods.base import Method, MethodConfig, Tensors, Transition
from methods.ddpg import entries, observation_scale
from methods.streams import Streams

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import ReplayBuffer
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


class OffPolicyConfig(MethodConfig):
    """Settings of every adapted algorithm, named as those of :class:`methods.ddpg.DDPGConfig`.

    Attributes:
        actor_lr: Learning rate of all but the critic; a learned entropy temperature has it too.
        critic_lr: Learning rate of the critic.
        warmup: Steps of uniformly random actions before learning starts.
    """

    hidden: tuple[PositiveInt, ...] = (400, 300)
    actor_lr: PositiveFloat = 1e-3
    critic_lr: PositiveFloat = 1e-3
    batch_size: PositiveInt = 100
    gamma: float = Field(default=0.99, gt=0, le=1)
    tau: float = Field(default=0.005, gt=0, le=1)
    replay_size: PositiveInt = 1_000_000
    warmup: PositiveInt = 10_000


class NoisyConfig(OffPolicyConfig):
    """Settings of an algorithm whose policy is deterministic, and explores by noise that is added to it.

    Attributes:
        noise: Standard deviation of the exploration noise, in the environment's action units.
    """

    noise: NonNegativeFloat = 0.1


S = TypeVar("S", bound=OffPolicyConfig)


class Spaces(gymnasium.Env[Any, Any]):
    """An environment that has the spaces of the scaled task, which is all that an algorithm is made from.

    Args:
        task: The task.
        obs_dim: Observation dimension o.
    """

    def __init__(self, task: TaskSpec, obs_dim: int) -> None:
        lower, upper = (np.asarray(bound, dtype=np.float32) for bound in (task.constraint.lower, task.constraint.upper))
        self.action_space = Box(lower, upper, dtype=np.float32)
        self.observation_space = Box(-np.inf, np.inf, (obs_dim,), dtype=np.float32)


class StableBaselines3(Method[S]):
    """A stable-baselines3 off-policy algorithm behind the contract of :class:`Method`.

    Observations are scaled to [-1, 1] where their space is bounded, as for DDPG, and stored in float32. Actions are
    scaled by the action box, which stable-baselines3 does by itself. A policy explores by being sampled; where the
    settings are a :class:`NoisyConfig` it is deterministic, and Gaussian noise is added to it.

    Any other off-policy algorithm of stable-baselines3, or of a package on top of it such as sb3-contrib, takes a
    subclass that names its class, its settings, and what its constructor takes besides. Its DDPG with returns of three
    steps, for example::

        @register_method("ddpg-three-steps")
        class DDPGThreeSteps(StableBaselines3[NoisyConfig]):
            Config = NoisyConfig

            def algorithm(self):
                from stable_baselines3 import DDPG

                return DDPG

            def arguments(self):
                return super().arguments() | {"n_steps": 3}

    Its state is what stable-baselines3 would save of it, and the attributes named by ``counters``; a class that keeps
    more between two gradient steps adds to these. State-dependent exploration is not supported: its noise would not
    survive an interruption.

    Attributes:
        counters: Numbers of the algorithm that change while it trains.
        model: The algorithm.

    Raises:
        UserError: If the package is not installed, or the class is no off-policy algorithm.
    """

    counters: ClassVar[tuple[str, ...]] = ("num_timesteps", "_n_updates")

    def __init__(self, task: TaskSpec, config: S, seed: int) -> None:
        super().__init__(task, config, seed)
        constraint = task.constraint
        self.action_middle = torch.as_tensor((constraint.upper + constraint.lower) / 2, dtype=torch.float32)
        self.action_half = torch.as_tensor((constraint.upper - constraint.lower) / 2, dtype=torch.float32)
        self.obs_middle, self.obs_half = observation_scale(task)
        self.noise_generator = make_generator(seed, "noise")
        self.streams = Streams(seed)
        with self.streams.lent():
            self.model = self._make_model()

    # --- what a subclass says ----------------------------------------------------------------------------------

    @abstractmethod
    def algorithm(self) -> type[OffPolicyAlgorithm]:
        """The algorithm's class, imported in here so that methods are listed without it."""

    def arguments(self) -> dict[str, Any]:
        """What the algorithm's constructor takes besides the policy's name, the environment and the device."""
        return {
            "learning_rate": self.config.critic_lr,
            "buffer_size": self.config.replay_size,
            "batch_size": self.config.batch_size,
            "gamma": self.config.gamma,
            "tau": self.config.tau,
            "policy_kwargs": {"net_arch": list(self.config.hidden)},
        }

    # --- Method ------------------------------------------------------------------------------------------------

    def act(self, obs: Tensor, explore: bool) -> Tensor:
        """See :meth:`Method.act`."""
        return self.act_pair(obs)[1] if explore else self._predict(obs, deterministic=True)

    def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        """See :meth:`Method.act_pair`; the warm-up's random actions are uniform on the action box."""
        shape = (len(obs), self.task.constraint.dim)
        if self.model.num_timesteps < self.config.warmup:
            uniform = 2 * torch.rand(shape, generator=self.noise_generator) - 1
            return None, self.action_middle + self.action_half * uniform
        policy = self._predict(obs, deterministic=True)
        if isinstance(self.config, NoisyConfig):
            noise = torch.randn(shape, generator=self.noise_generator, dtype=policy.dtype)
            return policy, policy + self.config.noise * noise
        return policy, self._predict(obs, deterministic=False)

    def observe(self, transition: Transition) -> None:
        """See :meth:`Method.observe`; the executed action is stored, and an end by a time limit alone is told apart."""
        self._replay.add(
            self.scale_obs(transition.obs),
            self.scale_obs(transition.next_obs),
            self.model.policy.scale_action(transition.action.numpy()),
            np.array([transition.reward]),
            np.array([transition.terminated or transition.truncated]),
            [{"TimeLimit.truncated": transition.truncated and not transition.terminated}],
        )
        self.model.num_timesteps += 1

    def update(self) -> dict[str, float]:
        """One gradient step of the algorithm; what it logs of it but for the number of steps."""
        if self.model.num_timesteps < self.config.warmup or not self._replay.size():
            return {}
        logged = self.model.logger.name_to_value
        logged.clear()
        with self.streams.lent():
            self.model.train(gradient_steps=1, batch_size=self.config.batch_size)
        logged.pop("train/n_updates", None)
        return {name.removeprefix("train/"): float(value) for name, value in logged.items()}

    def scale_obs(self, obs: Tensor) -> NDArray[np.float32]:
        """What the algorithm sees of an observation, float32."""
        return ((obs.float() - self.obs_middle) / self.obs_half).numpy()

    def state_dict(self) -> Tensors:
        """See :meth:`Method.state_dict`."""
        state: Tensors = {name: torch.tensor(getattr(self.model, name)) for name in self.counters}
        for name, part in self._parts().items():
            if isinstance(part, torch.optim.Optimizer):
                for index, moments in part.state_dict()["state"].items():
                    state |= {f"{name}.{index}.{key}": value.clone() for key, value in moments.items()}
            elif isinstance(part, torch.nn.Module):
                state |= {f"{name}.{key}": value.clone() for key, value in part.state_dict().items()}
            else:
                state[name] = part.detach().clone()
        state |= {f"streams.{name}": value for name, value in self.streams.state_dict().items()}
        state["noise_generator"] = self.noise_generator.get_state()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.load_state_dict`."""
        try:
            for name, part in self._parts().items():
                if isinstance(part, torch.optim.Optimizer):
                    moments: dict[int, Tensors] = {}
                    for key, value in entries(state, f"{name}.").items():
                        index, moment = key.split(".")
                        moments.setdefault(int(index), {})[moment] = value.clone()
                    part.load_state_dict({**part.state_dict(), "state": moments})
                elif isinstance(part, torch.nn.Module):
                    part.load_state_dict(entries(state, f"{name}."))
                else:
                    part.data.copy_(state[name])
            for name in self.counters:
                setattr(self.model, name, state[name].item())
            self.streams.load_state_dict(entries(state, "streams."))
            self.noise_generator.set_state(state["noise_generator"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"this state does not belong to method '{self.id}' on {self.task.id}: {reason}") from error

    def checkpoint_dict(self) -> Tensors:
        """See :meth:`Method.checkpoint_dict`; with the replay buffer."""
        replay = self._replay
        columns = {name: torch.from_numpy(column[: replay.size()]) for name, column in self._columns().items()}
        columns["position"] = torch.tensor([replay.pos, int(replay.full)])
        return self.state_dict() | {f"replay.{name}": value for name, value in columns.items()}

    def load_checkpoint_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.load_checkpoint_dict`."""
        self.load_state_dict(state)
        replay = self._replay
        try:
            replay.pos, full = state["replay.position"].tolist()
            replay.full = bool(full)
            for name, column in self._columns().items():
                column[: replay.size()] = state[f"replay.{name}"].numpy()
        except (KeyError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"this checkpoint's replay buffer does not fit method '{self.id}': {reason}") from error

    @property
    def _replay(self) -> ReplayBuffer:
        assert self.model.replay_buffer is not None
        return self.model.replay_buffer

    def _columns(self) -> dict[str, NDArray[Any]]:
        """The buffer's arrays, a row a transition."""
        arrays = {name: value for name, value in vars(self._replay).items() if isinstance(value, np.ndarray)}
        return {name: value for name, value in arrays.items() if len(value) == self._replay.buffer_size}

    def _parts(self) -> dict[str, Any]:
        """What stable-baselines3 saves of the algorithm: networks, optimisers and single tensors, by name."""
        from stable_baselines3.common.save_util import recursive_getattr

        modules, tensors = self.model._get_torch_save_params()
        return {name: recursive_getattr(self.model, name) for name in (*modules, *tensors)}

    def _predict(self, obs: Tensor, deterministic: bool) -> Tensor:
        """The policy's actions (B, n) in the environment's units."""
        with self.streams.lent():
            action, _ = self.model.predict(self.scale_obs(obs), deterministic=deterministic)
        return torch.from_numpy(action)

    def _make_model(self) -> OffPolicyAlgorithm:
        try:
            from stable_baselines3.common.logger import Logger
            from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

            algorithm = self.algorithm()
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            missing = f"needs the package '{package}', which is not installed; install it with pip"
            raise UserError(f"method '{self.id}' {missing}") from error
        if not issubclass(algorithm, OffPolicyAlgorithm):
            raise UserError(f"method '{self.id}': {algorithm.__name__} is no off-policy algorithm of stable-baselines3")
        model = at_two_rates(algorithm, self.config)(
            "MlpPolicy", Spaces(self.task, len(self.obs_middle)), device="cpu", **self.arguments()
        )
        if model.use_sde:
            raise UserError(f"method '{self.id}': state-dependent exploration is not supported; leave use_sde out")
        model.set_logger(Logger(folder=None, output_formats=[]))
        return model


def at_two_rates(algorithm: type[OffPolicyAlgorithm], config: OffPolicyConfig) -> Callable[..., OffPolicyAlgorithm]:
    """The algorithm with a learning rate for the critic and one for all else, where it has one for both."""
    from stable_baselines3.common.utils import update_learning_rate

    class TwoRates(algorithm):  # type: ignore[misc, valid-type]
        def _update_learning_rate(self, optimizers: list[torch.optim.Optimizer] | torch.optim.Optimizer) -> None:
            for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
                of_critic = optimizer is self.critic.optimizer
                update_learning_rate(optimizer, config.critic_lr if of_critic else config.actor_lr)

    return TwoRates
