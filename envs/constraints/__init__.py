"""Constraints on actions: a base class with slow general answers, and families with exact ones."""

from envs.constraints.allocation import Allocation
from envs.constraints.ball import Ball
from envs.constraints.base import Constraint
from envs.constraints.box import Box
from envs.constraints.exact import ExactConstraint
from envs.constraints.power import Power
from envs.constraints.weighted_l1 import WeightedL1

__all__ = [
    "Allocation",
    "Ball",
    "Box",
    "Constraint",
    "ExactConstraint",
    "Power",
    "WeightedL1",
]
