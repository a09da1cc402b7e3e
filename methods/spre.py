"""SPre and SPre+: SAC for which the projection is a part of the environment.

Of ACRL-bench (Kasaura et al., RA-L 2023, arXiv 2304.08743);
the critics learn from what was sampled, not from what was executed.
"""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat

from methods.base import register_method
from methods.sac import SAC, SACConfig


class SPreConfig(SACConfig):
    """Settings of SPre."""

    critic_action: Literal["executed", "raw"] = "raw"


@register_method("spre", version=1)
class SPre(SAC[SPreConfig]):
    """SAC that does not know of the projection."""

    Config = SPreConfig


class SPrePlusConfig(SPreConfig):
    """Settings of SPre+."""

    raw_penalty: NonNegativeFloat = 1.0


@register_method("spre+", version=1)
class SPrePlus(SAC[SPrePlusConfig]):
    """SPre whose actor is punished for violations of its samples."""

    Config = SPrePlusConfig
