"""One row a constraint; every test that takes ``case`` runs on all of them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from envs import make_task
from envs.constraints import (
    Allocation,
    Ball,
    Box,
    Constraint,
    Discs,
    GroupedAllocation,
    Intersection,
    Power,
    RateLimit,
    RateLimitedL1,
    Ring,
    SineSquares,
    TwoLegs,
    TwoLinkTip,
    WeightedL1,
)


@dataclass(frozen=True)
class Case:
    # Entries of an observation.
    width: ClassVar[int] = 17

    name: str
    constraint: Constraint
    # In units of the box. CLARABEL stalls on second-order cones together with a box and says so; the optimality
    # conditions, which need no solver, are tested to 1e-9 there as everywhere.
    solver_error: float = 1e-6

    def obs(self, rows: int, generator: torch.Generator) -> Tensor:
        """Observations whose entries have all magnitudes from 0.1 to 100, and are 0 now and then."""
        scale = 10 ** (3 * torch.rand((rows, 1), generator=generator, dtype=torch.float64) - 1)
        obs = torch.randn((rows, self.width), generator=generator, dtype=torch.float64) * scale
        return obs * (torch.rand(obs.shape, generator=generator) > 0.15)

    def action(self, rows: int, generator: torch.Generator) -> Tensor:
        """Actions from within the box to far outside, about the box's middle."""
        lower, upper = torch.as_tensor(self.constraint.lower), torch.as_tensor(self.constraint.upper)
        scale = 10 ** (2 * torch.rand((rows, 1), generator=generator, dtype=torch.float64) - 1)
        offset = torch.randn((rows, self.constraint.dim), generator=generator, dtype=torch.float64) * scale
        return (lower + upper) / 2 + offset * (upper - lower) / 2


def unit(n: int) -> tuple[np.ndarray, np.ndarray]:
    return -np.ones(n), np.ones(n)


def uneven(n: int) -> tuple[list[float], list[float]]:
    """Ends of a box that is not centred on 0 and has 0 on its boundary."""
    return [-2.0, 0.0, -0.1, -1.0, -1.0, -0.3][:n], [0.5, 1.0, 3.0, 0.0, 0.2, 1.0][:n]


def l1_and_sines(bounds: tuple[float, float], box: tuple[ArrayLike, ArrayLike], w: range, th: range) -> Intersection:
    return Intersection(WeightedL1(bounds[0], *box, w), SineSquares(bounds[1], *box, th))


def no_obs(rows: int) -> Tensor:
    """Observations for a constraint that reads none."""
    return torch.zeros((rows, 0), dtype=torch.float64)


def l1_and_rate(bound: float, box: tuple[ArrayLike, ArrayLike], w: range, before: range) -> RateLimitedL1:
    return RateLimitedL1(WeightedL1(bound, *box, w), RateLimit(0.2, *box, before))


# CLARABEL regularises its linear systems by default, which costs digits if an action lies next to a bound.
TIGHT = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12, "static_regularization_enable": False}
CONVEX = [
    Case("box", Box([-1.0, 0.0, 2.0], [1.0, 0.5, 5.0])),
    Case("R+L2", Ball(0.05, *unit(2))),
    Case("ball-larger-than-box", Ball(2.0, *unit(8)), solver_error=5e-5),
    Case("ball-off-centre", Ball(2.0, [0.3, -1.0, -2.0], [1.0, 0.5, -0.2]), solver_error=5e-5),
    Case("HC+O", WeightedL1(20.0, *unit(6), range(2, 8))),
    Case("l1-uneven-box", WeightedL1(1.0, [-2.0, 0.0, -0.1], [0.5, 1.0, 3.0], [6, 0, 3])),
    Case("H+M", Power(10.0, *unit(3), range(3, 6))),
    Case("W+M", Power(10.0, *unit(6), range(2, 8))),
    Case("BSS-3", Allocation(90, np.zeros(3), np.full(3, 35.0))),
    Case("BSS-5", Allocation(150, np.zeros(5), np.full(5, 35.0))),
    Case("allocation-uneven", Allocation(-1.3, [-3.0, -1.0, 0.5, -0.1], [-1.0, 2.0, 0.7, 4.0])),
    Case("Portfolio", make_task("Portfolio").constraint),
    Case("groups-uneven", GroupedAllocation(0.4, [[4, 0], [2, 1]], [-1.5, -9.0], [9.0, 1.2], *uneven(6))),
    Case("HC+R", RateLimit(0.2, *unit(6), range(11, 17))),
    Case("rate-uneven-box", RateLimit(0.4, *uneven(4), [6, 0, 3, 9])),
    Case("HC+O+R", l1_and_rate(20.0, unit(6), range(2, 8), range(11, 17))),
    Case("l1-and-rate-uneven-box", l1_and_rate(1.0, uneven(4), range(4), range(4, 8))),
    Case("HC+MA", TwoLegs(5.0, *unit(6), (*range(2, 8), 11, 14))),
    Case("legs-uneven-box", TwoLegs(1.0, *uneven(6), range(8))),
    Case("R+T", TwoLinkTip(0.05, *unit(2), [1]), solver_error=5e-5),
    Case("tip-uneven-box", TwoLinkTip(0.3, [-0.1, -2.0], [1.0, 0.2], [3]), solver_error=5e-5),
    Case("sines", SineSquares(0.1, *unit(3), range(2, 5)), solver_error=5e-5),
    Case("sines-uneven-box", SineSquares(0.5, *uneven(4), [6, 0, 3, 9]), solver_error=5e-5),
    Case("H+O+S", l1_and_sines((10.0, 0.1), unit(3), range(8, 11), range(2, 5)), solver_error=5e-5),
    # Slow entries for w: the wider of the two sets of the tests of sampling would otherwise be too small for rejection.
    Case("W+O+S", l1_and_sines((10.0, 0.1), unit(6), range(5, 11), range(11, 17)), solver_error=5e-5),
    Case("both-uneven-box", l1_and_sines((1.0, 0.3), uneven(3), range(3), range(2, 5)), solver_error=5e-5),
]


NOT_CONVEX = [
    Case("R+Ring", Ring(0.02, 0.05, *unit(2))),
    Case("R+2D", Discs([[0.5, 0.0], [-0.5, 0.0]], [0.05, 0.02], *unit(2))),
    Case("shell", Ring(0.5, 2.0, [-2.0] * 4, [1.5, 2.0, 3.0, 1.5])),
    Case("balls", Discs([[0.0, 0.0, 0.6], [0.1, -0.4, 0.0], [0.5, 0.3, -0.6]], [0.04, 0.09, 0.1], *unit(3))),
]


@pytest.fixture(params=CONVEX, ids=lambda case: case.name)
def convex(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(params=CONVEX + NOT_CONVEX, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20240607)
