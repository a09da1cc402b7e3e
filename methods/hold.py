"""Hold: the feasible action nearest to doing nothing. It does not learn; learning has to beat it.

Doing nothing is the current allocation in bike sharing and no torque elsewhere (:meth:`TaskSpec.idle_action`).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from methods.base import Method, MethodConfig, Tensors, Transition, register_method


@register_method("hold", version=1)
class Hold(Method[MethodConfig]):
    """Projects the action that changes nothing, with and without exploration."""

    Config = MethodConfig

    def act(self, obs: Tensor, explore: bool) -> Tensor:  # noqa: ARG002
        """See :meth:`Method.act`."""
        return self.task.constraint.project(self.task.idle_action(obs), obs)

    def act_pair(self, obs: Tensor) -> tuple[Tensor | None, Tensor]:
        """The same action twice, since there is no noise."""
        action = self.act(obs, explore=True)
        return action, action

    def observe(self, transition: Transition) -> None:
        """Do nothing; see :meth:`Method.observe`."""

    def update(self) -> dict[str, float]:
        """Do nothing; see :meth:`Method.update`."""
        return {}

    def state_dict(self) -> Tensors:
        """Empty; see :meth:`Method.state_dict`."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Do nothing; see :meth:`Method.load_state_dict`."""
