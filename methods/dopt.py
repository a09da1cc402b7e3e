"""DOpt and DOpt+: TD3 whose actor ends in a projection and learns through it.

From ACRL-bench (Kasaura et al., RA-L 2023, arXiv 2304.08743), after OptLayer (Pham et al., 2018, arXiv 1709.07643).
"""

from __future__ import annotations

from pydantic import NonNegativeFloat

from methods.base import register_method
from methods.ddpg import NoiseAt
from methods.learner import HeadName
from methods.td3 import TD3, TD3Config


class DOptConfig(TD3Config):
    """Settings of DOpt; noise is added before the projection, as released."""

    head: HeadName = "projection"
    noise_at: NoiseAt = "output"


@register_method("dopt", version=3)
class DOpt(TD3[DOptConfig]):
    """DOpt: TD3 with a projection layer."""

    Config = DOptConfig


class DOptPlusConfig(DOptConfig):
    """Settings of DOpt+."""

    raw_penalty: NonNegativeFloat = 1.0


@register_method("dopt+", version=3)
class DOptPlus(TD3[DOptPlusConfig]):
    """DOpt+: DOpt with the released penalty: on the layer's output, so it is almost 0."""

    Config = DOptPlusConfig
