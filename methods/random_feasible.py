"""Random feasible actions. It does not learn, and defines a score of 0 (docs/leaderboard.md)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import make_generator
from methods.base import Method, MethodConfig, Tensors, Transition, register_method


@register_method("random-feasible", version=1)
class RandomFeasible(Method[MethodConfig]):
    """Samples uniformly from C(s), with and without exploration.

    One generator serves both: how often the policy is evaluated changes later samples, but not their distribution.
    """

    Config = MethodConfig

    def __init__(self, task: TaskSpec, config: MethodConfig, seed: int) -> None:
        super().__init__(task, config, seed)
        self.generator = make_generator(seed, "random feasible actions")

    def act(self, obs: Tensor, explore: bool) -> Tensor:  # noqa: ARG002
        """See :meth:`Method.act`."""
        return self.task.constraint.sample(obs, self.generator)

    def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        """The same sample twice, since there is no noise."""
        action = self.act(obs, explore=True)
        return action, action

    def observe(self, transition: Transition) -> None:
        """Do nothing; see :meth:`Method.observe`."""

    def update(self) -> dict[str, float]:
        """Do nothing; see :meth:`Method.update`."""
        return {}

    def state_dict(self) -> Tensors:
        """See :meth:`Method.state_dict`."""
        return {"generator": self.generator.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See :meth:`Method.load_state_dict`."""
        try:
            self.generator.set_state(state["generator"])
        except (KeyError, RuntimeError, TypeError) as error:
            raise UserError(f"this state does not belong to method '{self.id}': {error}") from error
