"""Constraints on actions: a base class with slow general defaults, and families with exact answers."""

from envs.constraints.allocation import Allocation
from envs.constraints.ball import Ball
from envs.constraints.base import Constraint
from envs.constraints.box import Box
from envs.constraints.budget import Power, WeightedL1
from envs.constraints.discs import Discs
from envs.constraints.exact import ExactConstraint
from envs.constraints.grouped import GroupedAllocation
from envs.constraints.half_space import HalfSpace, TwoLegs
from envs.constraints.intersection import Intersection
from envs.constraints.planar import PlanarQuadratic, TwoLinkTip
from envs.constraints.quadratic import DiagonalQuadratic, SineSquares
from envs.constraints.rate import RateLimit, RateLimitedL1
from envs.constraints.ring import Ring

__all__ = [
    "Allocation",
    "Ball",
    "Box",
    "Constraint",
    "DiagonalQuadratic",
    "Discs",
    "ExactConstraint",
    "GroupedAllocation",
    "HalfSpace",
    "Intersection",
    "PlanarQuadratic",
    "Power",
    "RateLimit",
    "RateLimitedL1",
    "Ring",
    "SineSquares",
    "TwoLegs",
    "TwoLinkTip",
    "WeightedL1",
]
