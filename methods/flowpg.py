"""FlowPG: a policy in the latent space of a normalizing flow (Brahmanage, Ling, Kumar, NeurIPS 2023, 2402.05149).

A conditional flow f(z; s) from a box onto C(s) is trained by maximum likelihood on feasible actions and frozen. The
DDPG actor puts out z (tanh), f turns it into the action, and the policy gradient flows back through f.
"""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from envs.errors import UserError
from methods.base import Artifacts, MakeAlways, Tensors, register_method
from methods.ddpg import DDPG, DDPGConfig
from methods.flows.base import Flow
from methods.flows.training import (
    FlowConfig,
    SampleConfig,
    draw_samples,
    flow_state,
    load_flow,
    train_flow,
)


class FlowPGConfig(DDPGConfig):
    """Settings of FlowPG."""

    samples: SampleConfig = Field(default_factory=SampleConfig)
    flow: FlowConfig = Field(default_factory=FlowConfig)


@register_method("flowpg")
class FlowPG(DDPG[FlowPGConfig]):
    """DDPG whose actor's output is a latent of the flow; noise is added after the flow."""

    Config = FlowPGConfig
    flow: Flow | None = None

    def prepare(self, artifacts: Artifacts | None = None) -> None:
        """Train the flow, or take it from ``artifacts``; one flow serves all seeds of a task."""
        store = artifacts or MakeAlways()
        config = self.config.model_dump(mode="json", include={"samples", "flow"})
        state = store.get("flows", config, ("methods.flows.training",), self._train)
        self.flow, self.flow_curve = load_flow(self.task, self.config.flow, state)

    def trained_flow(self) -> Flow:
        """The flow.

        Raises:
            UserError: If :meth:`prepare` was not called.
        """
        if self.flow is None:
            raise UserError("flowpg acts through a trained flow: call prepare() first")
        return self.flow

    def _train(self, store: Artifacts) -> Tensors:
        samples = draw_samples(self.task, self.config.samples, store)
        flow, curve = train_flow(self.task, self.config.flow, samples)
        return flow_state(flow, curve)

    def actor_outputs(self) -> int:
        """See :meth:`DDPG.actor_outputs`."""
        return self.task.constraint.free_dim

    def decode(self, output: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`DDPG.decode`."""
        action: Tensor = self.trained_flow()(output, self.task.constraint.context(obs))
        return action
