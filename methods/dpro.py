"""DPro and DPro+: TD3 with projected actions, from which the critics learn.

From ACRL-bench (Kasaura et al., RA-L 2023, arXiv 2304.08743). Targets bootstrap from the target actor's unprojected
output.
"""

from __future__ import annotations

from pydantic import NonNegativeFloat

from methods.base import register_method
from methods.td3 import TD3, TD3Config


class DProConfig(TD3Config):
    """Settings of DPro."""


@register_method("dpro", version=1)
class DPro(TD3[DProConfig]):
    """DPro: TD3 whose actions the harness projects."""

    Config = DProConfig


class DProPlusConfig(DProConfig):
    """Settings of DPro+."""

    raw_penalty: NonNegativeFloat = 1.0


@register_method("dpro+", version=2)
class DProPlus(TD3[DProPlusConfig]):
    """DPro+: DPro with a penalty on violations in the actor's loss."""

    Config = DProPlusConfig
