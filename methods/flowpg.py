"""FlowPG: a policy in the latent space of a normalizing flow (Brahmanage et al., NeurIPS 2023, arXiv 2402.05149).

A conditional flow f(z; s) from a box onto C(s) is trained by maximum likelihood on feasible actions, then frozen. The
DDPG actor outputs the latent z (tanh), f maps it to the action, and the policy gradient flows back through f.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import Field

from envs.constraints.base import Constraint
from envs.errors import UserError
from envs.sampling.dataset import SAMPLES_VERSION
from methods.base import Artifacts, Tensors, changed_settings, register_method
from methods.ddpg import DDPG, DDPGConfig
from methods.flows.base import Flow
from methods.flows.realnvp import RealNVPConfig
from methods.flows.training import FlowConfig, SampleConfig, draw_samples, flow_state, load_flow, train_flow
from methods.heads.base import Head
from methods.heads.flow import FlowHead


class FlowPGConfig(DDPGConfig):
    """Settings of FlowPG with any flow."""

    samples: SampleConfig = Field(default_factory=SampleConfig)
    flow: FlowConfig


class RealNVPFlowPGConfig(FlowPGConfig):
    """Settings of FlowPG with a RealNVP, as in the paper."""

    flow: RealNVPConfig = Field(default_factory=RealNVPConfig)


F = TypeVar("F", bound=FlowPGConfig)


def flow_versions(config: FlowPGConfig) -> dict[str, int]:
    """Versions of everything that a flow depends on, by name."""
    return {"samples": SAMPLES_VERSION, config.flow.kind: config.flow.version}


def flow_recipe(config: FlowPGConfig) -> tuple[dict[str, Any], dict[str, int]]:
    """Settings and versions that determine a flow besides the task."""
    settings = {"samples": changed_settings(config.samples), "flow": changed_settings(config.flow)}
    return settings, flow_versions(config)


class FlowPGBase(DDPG[F]):
    """DDPG whose actor outputs latents of a flow; noise is added after the flow."""

    head: FlowHead

    def make_head(self, constraint: Constraint, config: F) -> Head:  # noqa: ARG002
        """See :meth:`Learner.make_head`; the flow is trained later."""
        return FlowHead(constraint)

    def prepare(self, artifacts: Artifacts | None = None) -> None:
        """Train the flow, or load it from ``artifacts``; one flow serves all seeds of a task."""
        store = artifacts or Artifacts()
        state = store.get(f"flows/{self.id}", *flow_recipe(self.config), self._train)
        self.head.flow, self.flow_curve = load_flow(self.task, self.config.flow, state)

    @classmethod
    def versions(cls, config: F) -> dict[str, int]:
        """See :meth:`Method.versions`; includes those of the samples and of the flow."""
        return {**super().versions(config), **flow_versions(config)}

    def trained_flow(self) -> Flow:
        """The flow.

        Raises:
            UserError: If :meth:`prepare` was not called.
        """
        if self.head.flow is None:
            raise UserError(f"{self.id} acts through a trained flow: call prepare() first")
        return self.head.flow

    def _train(self, store: Artifacts) -> Tensors:
        samples = draw_samples(self.task, self.config.samples, store)
        flow, curve = train_flow(self.task, self.config.flow, samples, store.checkpoint)
        return flow_state(flow, curve)


@register_method("flowpg", version=1)
class FlowPG(FlowPGBase[RealNVPFlowPGConfig]):
    """FlowPG with a RealNVP; docs/deviations.md lists differences from the paper."""

    Config = RealNVPFlowPGConfig
