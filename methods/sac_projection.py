"""SAC+projection: SAC whose actions are projected before they are executed, and whose critics learn from these.

The baseline of NFWPO (Lin et al., UAI 2021, arXiv 2102.11055); SPre's critics learn from raw actions instead. Targets
are bootstrapped from the policy's sample, unprojected.
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
