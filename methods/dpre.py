"""DPre and DPre+: TD3 for which the projection is a part of the environment.

Of ACRL-bench (Kasaura et al., RA-L 2023, arXiv 2304.08743);
the critics learn from what the policy asked for, with noise, not from what was executed.
"""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat

from methods.base import register_method
from methods.td3 import TD3, TD3Config


class DPreConfig(TD3Config):
    """Settings of DPre."""

    critic_action: Literal["executed", "raw"] = "raw"


@register_method("dpre", version=1)
class DPre(TD3[DPreConfig]):
    """TD3 that does not know of the projection."""

    Config = DPreConfig


class DPrePlusConfig(DPreConfig):
    """Settings of DPre+."""

    raw_penalty: NonNegativeFloat = 1.0


@register_method("dpre+", version=1)
class DPrePlus(TD3[DPrePlusConfig]):
    """DPre whose actor is punished for violations of its output."""

    Config = DPrePlusConfig
