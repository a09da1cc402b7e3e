"""SAC+projection: a sampled policy that maximises return and entropy (Haarnoja et al., 2018, arXiv 1812.05905)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveFloat, PositiveInt

from methods.base import register_method
from methods.off_policy import OffPolicyConfig
from methods.stable_baselines3 import StableBaselines3

if TYPE_CHECKING:
    from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm


class SACConfig(OffPolicyConfig):
    """Settings of SAC; defaults are those of the paper.

    The temperature is learned towards an entropy of -n. There is no noise to set: the policy is sampled.
    """

    hidden: tuple[PositiveInt, ...] = (256, 256)
    actor_lr: PositiveFloat = 3e-4
    critic_lr: PositiveFloat = 3e-4
    batch_size: PositiveInt = 256


@register_method("sac-projection", version=1)
class SACProjection(StableBaselines3[SACConfig]):
    """SAC whose actions the harness projects."""

    Config = SACConfig

    def algorithm(self) -> type[OffPolicyAlgorithm]:
        """See :meth:`StableBaselines3.algorithm`."""
        from stable_baselines3 import SAC

        return SAC
