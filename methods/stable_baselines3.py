"""Off-policy algorithms of stable-baselines3 (Raffin et al., JMLR 2021) as methods, without rewriting them.

The algorithm never steps an environment: it is made for the spaces of the task, its replay buffer is filled with the
transitions of the harness, and its own ``train`` makes the gradient steps. As with DDPG+projection, the executed action
is the feasible point nearest to the policy's action, the critic learns from executed actions, and targets bootstrap
from the policy's unprojected action.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from torch import Tensor

from envs.errors import UserError
from envs.registry import TaskSpec
from methods.base import Tensors, Transition
from methods.off_policy import NoisyConfig, OffPolicy, OffPolicyConfig, S
from methods.streams import Streams

if TYPE_CHECKING:
    from stable_baselines3.common.buffers import ReplayBuffer
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

__all__ = ["NoisyConfig", "OffPolicyConfig", "StableBaselines3"]


class Spaces(gymnasium.Env[Any, Any]):
    """An environment with only the spaces of the scaled task, which is all that an algorithm needs."""

    def __init__(self, task: TaskSpec, obs_dim: int) -> None:
        lower, upper = (np.asarray(bound, dtype=np.float32) for bound in (task.constraint.lower, task.constraint.upper))
        self.action_space = Box(lower, upper, dtype=np.float32)
        self.observation_space = Box(-np.inf, np.inf, (obs_dim,), dtype=np.float32)


class StableBaselines3(OffPolicy[S]):
    """A stable-baselines3 off-policy algorithm behind the contract of :class:`Method`.

    Observations are stored in float32, and stable-baselines3 itself scales actions by the action box. A policy explores
    by being sampled; if the settings are a :class:`NoisyConfig`, Gaussian noise is added.

    For any other off-policy algorithm of stable-baselines3, or of a package on top of it such as sb3-contrib, write a
    subclass that names its class, its settings and further arguments of its constructor; docs/methods.md has an
    example.

    Its state is what stable-baselines3 would save, plus the attributes named by ``counters``; a class that keeps more
    between two gradient steps adds to these. State-dependent exploration is not supported: its noise would not survive
    an interruption.

    Attributes:
        model: The algorithm.

    Raises:
        UserError: If the package is not installed, or the class is not an off-policy algorithm.
    """

    counters: ClassVar[tuple[str, ...]] = ("num_timesteps", "_n_updates")

    def __init__(self, task: TaskSpec, config: S, seed: int) -> None:
        super().__init__(task, config, seed)
        # Some packages draw random numbers on import, which only happens for the first learner of a process.
        with Streams(seed).lent():
            algorithm = self._import_algorithm()
        self.streams = Streams(seed)
        with self.streams.lent():
            self.model = self._make_model(algorithm)

    @abstractmethod
    def algorithm(self) -> type[OffPolicyAlgorithm]:
        """The algorithm's class, imported here to list methods without it."""

    def arguments(self) -> dict[str, Any]:
        """Arguments of the algorithm's constructor besides the policy's name, the environment and the device."""
        return {
            "learning_rate": self.config.critic_lr,
            "buffer_size": self.config.replay_size,
            "batch_size": self.config.batch_size,
            "gamma": self.config.gamma,
            "tau": self.config.tau,
            "policy_kwargs": {"net_arch": list(self.config.hidden)},
        }

    @property
    def _counted(self) -> OffPolicyAlgorithm:
        return self.model

    def policy(self, obs: Tensor) -> Tensor:
        """See :meth:`OffPolicy.policy`."""
        return self._predict(obs, deterministic=True)

    def _explored(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        if isinstance(self.config, NoisyConfig):
            return super()._explored(obs)
        return None, self._predict(obs, deterministic=False)

    def observe(self, transition: Transition) -> None:
        """See :meth:`Method.observe`; stores the executed action, and tells truncation from termination."""
        self._replay.add(
            self.scale_obs(transition.obs).numpy(),
            self.scale_obs(transition.next_obs).numpy(),
            self.model.policy.scale_action(transition.action.numpy()),
            np.array([transition.reward]),
            np.array([transition.terminated or transition.truncated]),
            [{"TimeLimit.truncated": transition.truncated and not transition.terminated}],
        )
        self.model.num_timesteps += 1

    def update(self) -> dict[str, float]:
        """Make one gradient step, and return what the algorithm logs, except for the number of steps."""
        if self.warming_up or not self._replay.size():
            return {}
        logged = self.model.logger.name_to_value
        logged.clear()
        with self.streams.lent():
            self.model.train(gradient_steps=1, batch_size=self.config.batch_size)
        logged.pop("train/n_updates", None)
        return {name.removeprefix("train/"): float(value) for name, value in logged.items()}

    def _parts(self) -> dict[str, Any]:
        """What stable-baselines3 saves (networks, optimisers and single tensors), and our own generators."""
        from stable_baselines3.common.save_util import recursive_getattr

        modules, tensors = self.model._get_torch_save_params()
        saved = {name: recursive_getattr(self.model, name) for name in (*modules, *tensors)}
        return saved | {"streams": self.streams, "noise_generator": self.noise_generator}

    def _replay_state(self) -> Tensors:
        replay = self._replay
        columns = {name: torch.from_numpy(column[: replay.size()]) for name, column in self._columns().items()}
        return columns | {"position": torch.tensor([replay.pos, int(replay.full)])}

    def _load_replay_state(self, state: Mapping[str, Tensor]) -> None:
        replay = self._replay
        replay.pos, full = state["position"].tolist()
        replay.full = bool(full)
        for name, column in self._columns().items():
            column[: replay.size()] = state[name].numpy()

    @property
    def _replay(self) -> ReplayBuffer:
        assert self.model.replay_buffer is not None
        return self.model.replay_buffer

    def _columns(self) -> dict[str, NDArray[Any]]:
        """The buffer's arrays, one row per transition."""
        arrays = {name: value for name, value in vars(self._replay).items() if isinstance(value, np.ndarray)}
        return {name: value for name, value in arrays.items() if len(value) == self._replay.buffer_size}

    def _predict(self, obs: Tensor, deterministic: bool) -> Tensor:
        """The policy's actions (B, n) in the environment's units."""
        with self.streams.lent():
            action, _ = self.model.predict(self.scale_obs(obs).numpy(), deterministic=deterministic)
        return torch.from_numpy(action)

    def _import_algorithm(self) -> type[OffPolicyAlgorithm]:
        try:
            from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

            algorithm = self.algorithm()
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            missing = f"needs the package '{package}', which is not installed: install it with pip"
            raise UserError(f"method '{self.id}' {missing}") from error
        if not issubclass(algorithm, OffPolicyAlgorithm):
            raise UserError(
                f"method '{self.id}': {algorithm.__name__} is not an off-policy algorithm of stable-baselines3"
            )
        return algorithm

    def _make_model(self, algorithm: type[OffPolicyAlgorithm]) -> OffPolicyAlgorithm:
        from stable_baselines3.common.logger import Logger

        model = at_two_rates(algorithm, self.config)(
            "MlpPolicy", Spaces(self.task, len(self.obs_middle)), device="cpu", **self.arguments()
        )
        if model.use_sde:
            raise UserError(f"method '{self.id}': state-dependent exploration is not supported: leave use_sde out")
        model.set_logger(Logger(folder=None, output_formats=[]))
        return model


def at_two_rates(algorithm: type[OffPolicyAlgorithm], config: OffPolicyConfig) -> Callable[..., OffPolicyAlgorithm]:
    """The algorithm with separate learning rates for the critic and everything else."""
    from stable_baselines3.common.utils import update_learning_rate

    class TwoRates(algorithm):  # type: ignore[misc, valid-type]
        def _update_learning_rate(self, optimizers: list[torch.optim.Optimizer] | torch.optim.Optimizer) -> None:
            for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
                of_critic = optimizer is self.critic.optimizer
                update_learning_rate(optimizer, config.critic_lr if of_critic else config.actor_lr)

    return TwoRates
