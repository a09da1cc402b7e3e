"""SAC+projection: SAC with projected actions, from which the critics learn.

The baseline of NFWPO (Lin et al., UAI 2021, arXiv 2102.11055); SPre's critics learn from raw actions instead. Targets
bootstrap from the policy's unprojected sample.
"""

from __future__ import annotations

from methods.base import register_method
from methods.sac import SAC, SACConfig


class SACProjectionConfig(SACConfig):
    """Settings of SAC+projection."""


@register_method("sac-projection", version=2)
class SACProjection(SAC[SACProjectionConfig]):
    """SAC whose actions the harness projects."""

    Config = SACProjectionConfig
