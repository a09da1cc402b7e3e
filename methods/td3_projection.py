"""TD3+projection: two critics, a smoothed target, a delayed actor (Fujimoto et al., ICML 2018, arXiv 1802.09477)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import NonNegativeFloat, PositiveInt

from methods.base import register_method
from methods.off_policy import NoisyConfig
from methods.stable_baselines3 import StableBaselines3

if TYPE_CHECKING:
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


class TD3Config(NoisyConfig):
    """Settings of TD3; defaults are those of the paper.

    Attributes:
        policy_delay: Critic steps for each step of the actor and the targets.
        target_noise: Standard deviation of the noise on the target policy's action, in units of half the action box.
        target_noise_clip: Where that noise is clipped.
    """

    policy_delay: PositiveInt = 2
    target_noise: NonNegativeFloat = 0.2
    target_noise_clip: NonNegativeFloat = 0.5


@register_method("td3-projection", version=1)
class TD3Projection(StableBaselines3[TD3Config]):
    """TD3 whose actions the harness projects."""

    Config = TD3Config

    def algorithm(self) -> type[OffPolicyAlgorithm]:
        """See :meth:`StableBaselines3.algorithm`."""
        from stable_baselines3 import TD3

        return TD3

    def arguments(self) -> dict[str, Any]:
        """See :meth:`StableBaselines3.arguments`."""
        return super().arguments() | {
            "policy_delay": self.config.policy_delay,
            "target_policy_noise": self.config.target_noise,
            "target_noise_clip": self.config.target_noise_clip,
        }
