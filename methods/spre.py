"""SPre and SPre+: SAC with the projection as part of the environment.

From ACRL-bench (Kasaura et al., RA-L 2023, arXiv 2304.08743). The critics learn from the sampled action, not from the
executed one.
"""

from __future__ import annotations

from pydantic import NonNegativeFloat

from methods.base import register_method
from methods.learner import CriticAction
from methods.sac import SAC, SACConfig


class SPreConfig(SACConfig):
    """Settings of SPre."""

    critic_action: CriticAction = "raw"


@register_method("spre", version=1)
class SPre(SAC[SPreConfig]):
    """SPre: SAC that does not know the projection."""

    Config = SPreConfig


class SPrePlusConfig(SPreConfig):
    """Settings of SPre+."""

    raw_penalty: NonNegativeFloat = 1.0


@register_method("spre+", version=2)
class SPrePlus(SAC[SPrePlusConfig]):
    """SPre+: SPre with a penalty on violations in the actor's loss."""

    Config = SPrePlusConfig
