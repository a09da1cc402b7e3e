"""Bike sharing: move bikes between zones to serve as many trips as possible."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from envs.bars import RENDER_MODES, BarChart, Frame, check_render_mode
from envs.constraints import Allocation
from envs.errors import UserError

BIKES_PER_ZONE = 30
CAPACITY = 35
HORIZON = 100
MIN_DEMAND = 5
MAX_DEMAND = 24

# Distances by number of zones, in the order d12, d13, ..., d23, ...
DISTANCES = {
    3: (7.402, 8.297, 5.865),
    5: (6.699, 1.631, 2.282, 5.862, 9.984, 5.876, 4.011, 3.362, 3.550, 10.010),
}

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

MARKS = {
    "wanted": {"color": "black", "marker": "_", "markersize": 18},
    "demand": {"color": "#D55E00", "marker": "x", "markersize": 5},
}


class BikeSharingEnv(gymnasium.Env[Floats, NDArray[np.float32]]):
    """A fleet of bikes that are relocated between zones before each period of demand.

    ## Description

    n zones hold 30 n bikes, at most 35 each. One step is one period, in this order:

    1. **Relocation.** Bikes are moved to the chosen allocation.
    2. **Demand.** For each ordered pair of different zones, demand is a uniform integer in 5..24, independent of
       everything else. The agent acts before it sees the demand.
    3. **Trips.** Each zone serves min(bikes, demand) trips, split over destinations in proportion to demand and
       rounded to whole bikes by largest remainders. All depart before any arrives, and all arrive within the step.
    4. **Surplus.** A zone above its capacity passes the surplus to the nearest zone with room, and what does not fit
       to the next nearest.

    No bike is ever lost. The papers leave some choices open. Ours are: the order above, with demand drawn after the
    relocation; ties between equal remainders go to the zone with the lower number; zones with surplus pass it on in
    the order of their numbers; before the first step, the observed demand is zero.

    ## Action Space

    `Box(0, 35, (n,), float32)`: the number of bikes in each zone. An allocation is an integer vector that sums to 30 n
    with every entry in [0, 35]. Any other finite action, even outside the box, is replaced by the nearest allocation,
    so only allocations are executed.

    ## Observation Space

    `Box(float64)` of shape (2n+1,):

    | index    | observation                                              | min | max      |
    |----------|----------------------------------------------------------|-----|----------|
    | 0..n-1   | last step's demand by zone of origin, in trips           | 0   | 24 (n-1) |
    | n..2n-1  | current allocation, in bikes                             | 0   | 35       |
    | 2n       | steps taken in this episode, at most 100                 | 0   | 100      |

    ## Rewards

    -(unserved trips + surplus bikes passed on + 2 x bikes moved), where bikes moved in the relocation are half the
    summed absolute change. `info` of each step has the three integers as `unserved`, `surplus` and `moved`.

    ## Starting State

    30 bikes in each zone, demand zero, step 0. It does not depend on the seed.

    ## Episode End

    Never terminates. Truncated after 100 steps by the time limit that `gymnasium.make` adds.

    ## Arguments

    `zones`: 3 (task `BSS-3`) or 5 (task `BSS-5`); distances are known only for these. `render_mode`: `"rgb_array"` or
    none; a frame shows the bikes in each zone, the allocation before demand, and the demand. `width`: width of a frame
    in pixels, a multiple of 4; the height is three quarters of it.

    ```python
    import envs, gymnasium
    env = gymnasium.make("acrl/BSS-3-v0")
    ```

    ## References

    Lin et al., NFWPO, UAI 2021, arXiv 2102.11055; Brahmanage et al., FlowPG, NeurIPS 2023, arXiv 2402.05149.

    Raises:
        UserError: If `zones` is neither 3 nor 5, there is no such `render_mode`, or an action has the wrong shape or
            holds NaN or infinity.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 2}  # noqa: RUF012 - Gymnasium asks the class

    def __init__(self, zones: int = 3, render_mode: str | None = None, width: int = 448) -> None:
        if zones not in DISTANCES:
            raise UserError(f"bike sharing with {zones} zones: distances are known for 3 and 5 zones only")
        check_render_mode("bike sharing", render_mode)
        self.render_mode = render_mode
        self._width = width
        self._chart: BarChart | None = None
        self._zones = zones
        self._neighbours = nearest_first(zones)
        self._different = 1 - np.eye(zones, dtype=np.int64)
        self._allocations = Allocation(BIKES_PER_ZONE * zones, np.zeros(zones), np.full(zones, float(CAPACITY)))
        self.action_space = spaces.Box(0.0, CAPACITY, (zones,), np.float32)
        high = [MAX_DEMAND * (zones - 1)] * zones + [CAPACITY] * zones + [HORIZON]
        self.observation_space = spaces.Box(np.zeros(2 * zones + 1), np.array(high, dtype=np.float64), dtype=np.float64)
        self._bikes: Integers
        self._demand: Integers
        self._wanted: Integers
        self._start()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Start an episode; ``options`` are not used."""
        super().reset(seed=seed, options=options)
        self._start()
        return self._observation(), {}

    def step(self, action: ArrayLike) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Relocate, serve one period's demand, pass on the surplus."""
        wanted = self._wanted = self._allocation(action)
        moved = int(np.abs(wanted - self._bikes).sum()) // 2
        demand = self.draw_demand()
        self._demand = demand.sum(axis=1)
        served = np.minimum(wanted, self._demand)
        arrivals = split_trips(demand, served).sum(axis=0)
        self._bikes, surplus = pass_on_surplus(wanted - served + arrivals, self._neighbours)
        self._steps += 1
        unserved = int((self._demand - served).sum())
        info = {"unserved": unserved, "surplus": surplus, "moved": moved}
        return self._observation(), float(-(unserved + surplus + 2 * moved)), False, False, info

    def draw_demand(self) -> Integers:
        """Demand in one step, from each zone (row) to each other (column): (n, n), zero on the diagonal."""
        draws = self.np_random.integers(MIN_DEMAND, MAX_DEMAND + 1, size=(self._zones, self._zones))
        return np.asarray(draws * self._different, dtype=np.int64)

    def render(self) -> Frame | None:
        """The zones as they are now, (3/4 width, width, 3); None without a render mode."""
        if self.render_mode is None:
            return None
        if self._chart is None:
            top = 1.05 * max(CAPACITY, MAX_DEMAND * (self._zones - 1))
            self._chart = BarChart(self._width, self._zones, "bikes", MARKS, top, CAPACITY, ("zone", "bikes"))
        # Before the first step, there is no action and no demand.
        unknown = np.full(self._zones, np.nan)
        marks = (self._wanted, self._demand) if self._steps else (unknown, unknown)
        return self._chart.draw(f"step {self._steps}", self._bikes, *marks)

    def _start(self) -> None:
        self._bikes = np.full(self._zones, BIKES_PER_ZONE)
        self._demand = np.zeros(self._zones, dtype=np.int64)
        self._wanted = self._bikes
        self._steps = 0

    def _observation(self) -> Floats:
        return np.concatenate((self._demand, self._bikes, (min(self._steps, HORIZON),)), dtype=np.float64)

    def _allocation(self, action: ArrayLike) -> Integers:
        """The allocation nearest to ``action``."""
        wanted = np.asarray(action, dtype=np.float64)
        if wanted.shape != (self._zones,):
            raise UserError(f"action has shape {wanted.shape}; expected ({self._zones},)")
        if not np.isfinite(wanted).all():
            raise UserError(f"action {wanted.tolist()} holds NaN or infinite entries")
        # Most actions are already repaired: checking that is far cheaper than projecting them again.
        fits = wanted.min() >= 0 and wanted.max() <= CAPACITY and wanted.sum() == BIKES_PER_ZONE * self._zones
        if fits and (wanted == np.rint(wanted)).all():
            return wanted.astype(np.int64)
        row, obs = torch.from_numpy(wanted)[None], torch.from_numpy(self._observation())[None]
        nearest: Integers = self._allocations.project_integer(row, obs)[0].numpy().astype(np.int64)
        return nearest


def nearest_first(zones: int) -> Integers:
    """For each zone (n) the other zones (n-1), nearest first: (n, n-1)."""
    distance = np.zeros((zones, zones))
    distance[np.triu_indices(zones, k=1)] = DISTANCES[zones]
    distance += distance.T
    # Each zone is nearest to itself: leave that column out.
    return np.argsort(distance, axis=1, kind="stable")[:, 1:]


def split_trips(demand: Integers, served: Integers) -> Integers:
    """Whole trips from zone to zone, as close to proportional to demand as whole numbers allow.

    By largest remainders in exact integer arithmetic; ties go to the destination with the lower number.

    Args:
        demand: (n, n), trips wanted from each zone (row) to each other (column).
        served: (n,), trips that leave each zone, at most its demand.

    Returns:
        (n, n): non-negative, row i sums to ``served[i]``, and no entry exceeds its demand.
    """
    total = np.maximum(demand.sum(axis=1, keepdims=True), 1)
    trips, remainder = np.divmod(demand * served[:, None], total)
    missing = served[:, None] - trips.sum(axis=1, keepdims=True)
    order = np.argsort(-remainder, axis=1, kind="stable")
    rank = np.argsort(order, axis=1, kind="stable")
    return np.asarray(trips + (rank < missing), dtype=np.int64)


def pass_on_surplus(bikes: Integers, neighbours: Integers) -> tuple[Integers, int]:
    """Move what a zone holds above capacity to the nearest zones with room.

    Args:
        bikes: (n,), at most n x ``CAPACITY`` in all.
        neighbours: (n, n-1) from :func:`nearest_first`.

    Returns:
        Bikes in each zone (n,), none above capacity, and the number passed on.
    """
    held = bikes.tolist()
    passed = 0
    for zone, others in enumerate(neighbours.tolist()):
        for other in others:
            count = min(held[zone] - CAPACITY, CAPACITY - held[other])
            if count > 0:
                held[zone] -= count
                held[other] += count
                passed += count
    return np.array(held, dtype=np.int64), passed
