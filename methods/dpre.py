"""DPre and DPre+: TD3 with the projection as part of the environment.

From ACRL-bench (Kasaura et al., RA-L 2023, arXiv 2304.08743). The critics learn from the policy's noisy action, not
from the executed one.
"""

from __future__ import annotations

from pydantic import NonNegativeFloat

from methods.base import register_method
from methods.learner import CriticAction
from methods.td3 import TD3, TD3Config


class DPreConfig(TD3Config):
    """Settings of DPre."""

    critic_action: CriticAction = "raw"


@register_method("dpre", version=1)
class DPre(TD3[DPreConfig]):
    """DPre: TD3 that does not know the projection."""

    Config = DPreConfig


class DPrePlusConfig(DPreConfig):
    """Settings of DPre+."""

    raw_penalty: NonNegativeFloat = 1.0


@register_method("dpre+", version=2)
class DPrePlus(TD3[DPrePlusConfig]):
    """DPre+: DPre with a penalty on violations in the actor's loss."""

    Config = DPrePlusConfig
