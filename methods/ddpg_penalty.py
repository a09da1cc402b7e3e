"""DDPG-penalty: DDPG+projection with a penalty for the distance that the projection moves the action.

The reward-shaping baseline of NFWPO (Lin et al., UAI 2021, arXiv 2102.11055).
"""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat

from methods.base import Transition, register_method
from methods.ddpg import DDPG, DDPGConfig


class DDPGPenaltyConfig(DDPGConfig):
    """Settings of DDPG-penalty.

    Attributes:
        penalty: lambda, in reward per unit of Euclidean distance in the environment's action units.
    """

    penalty: NonNegativeFloat = 1.0


@register_method("ddpg-penalty", version=1)
class DDPGPenalty(DDPG[DDPGPenaltyConfig]):
    """DDPG with r - lambda ||a_behaviour - a_executed||."""

    Config = DDPGPenaltyConfig

    def shaped_reward(self, transition: Transition) -> float:
        """See :meth:`DDPG.shaped_reward`."""
        moved = torch.linalg.vector_norm(transition.behaviour - transition.action)
        return transition.reward - self.config.penalty * float(moved)
