"""Bike sharing: conservation, accounting by hand, surplus, integer allocations."""

import numpy as np
import pytest

from envs import UserError
from envs.bike_sharing import BikeSharingEnv, nearest_first, pass_on_surplus, split_trips


def random_actions(rng: np.random.Generator, zones: int, count: int) -> np.ndarray:
    """Actions (count, n): points of the box, allocations, and a few points outside the box."""
    points = rng.uniform(0, 35, size=(count, zones))
    allocations = np.clip(rng.multinomial(30 * zones, np.full(zones, 1 / zones), size=count), 0, 35)
    outside = rng.normal(30, 60, size=(count, zones))
    kind = rng.choice(3, size=(count, 1), p=[0.2, 0.7, 0.1])
    return np.select([kind == 0, kind == 1], [points, allocations], outside)


@pytest.mark.parametrize("zones", [3, 5])
def test_what_must_always_hold(zones: int) -> None:
    env = BikeSharingEnv(zones)
    rng = np.random.default_rng(zones)
    for episode in range(30):
        start, _ = env.reset(seed=episode)
        steps = [env.step(action) for action in random_actions(rng, zones, 100)]
        observations = np.stack([start, *(step[0] for step in steps)])
        demand, bikes = observations[1:, :zones], observations[:, zones : 2 * zones]
        assert (bikes.sum(axis=1) == 30 * zones).all()
        assert ((bikes >= 0) & (bikes <= 35)).all()
        assert (observations == observations.round()).all()
        assert ((demand >= 5 * (zones - 1)) & (demand <= 24 * (zones - 1))).all()
        assert (observations[:, -1] == np.arange(101)).all()
        unserved, surplus, moved = (np.array([step[4][k] for step in steps]) for k in ("unserved", "surplus", "moved"))
        assert ([step[1] for step in steps] == -(unserved + surplus + 2 * moved)).all()
        assert (np.stack([unserved, surplus, moved]) >= 0).all()
        assert (unserved >= demand.sum(axis=1) - 30 * zones).all()
        assert (moved <= (35 - bikes[:-1]).sum(axis=1)).all()
        assert not any(step[2] or step[3] for step in steps)


# --- accounting -----------------------------------------------------------------------------------------------


class Scripted(BikeSharingEnv):
    """The environment under a demand that the test chooses: only the draw is replaced."""

    def __init__(self, demand: list[list[int]]) -> None:
        super().__init__(len(demand))
        self.next_demand = np.array(demand)

    def draw_demand(self) -> np.ndarray:
        return self.next_demand


# Demand (rows: origins), wanted allocation, then what follows from them by hand: bikes after, unserved, surplus, moved.
BY_HAND: list[tuple[list[list[int]], list[int], list[int], int, int, int]] = [
    # Demand is met everywhere and what leaves a zone is what arrives there.
    ([[0, 10, 10], [10, 0, 10], [10, 10, 0]], [30, 30, 30], [30, 30, 30], 0, 0, 0),
    # Zone 1 has 30 bikes for 40 trips: 10 unserved, 15 go to each other zone, 20 come back.
    ([[0, 20, 20], [10, 0, 10], [10, 10, 0]], [30, 30, 30], [20, 35, 35], 10, 0, 0),
    # Five bikes are moved from zone 3 to zone 1 first.
    ([[0, 5, 5], [5, 0, 5], [5, 5, 0]], [35, 30, 25], [35, 30, 25], 0, 0, 5),
    # Zone 2 ends with 49: of its surplus of 14 zone 3, which is nearer, takes the 5 it has room for, zone 1 the rest.
    ([[0, 24, 5], [5, 0, 5], [5, 5, 0]], [30, 30, 30], [20, 35, 35], 0, 14, 0),
    # All of the three: 35 bikes for 48 trips in zone 1 (13 unserved; 17.5 each way, the odd one to zone 2); zone 2,
    # with 25 - 10 + 18 + 5 = 38, passes 3 on to zone 3, which holds 30 - 10 + 17 + 5 = 42 - and has no room: so zone 1,
    # with 35 - 35 + 5 + 5 = 10, takes those 3 and the 7 of zone 3.
    ([[0, 24, 24], [5, 0, 5], [5, 5, 0]], [35, 25, 30], [20, 35, 35], 13, 10, 5),
    # Everyone wants to zone 1: the others serve 30 of 39 trips each (18 to zone 1, 4 to each other), so that it holds
    # 30 - 20 + 72 = 82 and the others 30 - 30 + 5 + 12 = 17. Of the surplus of 47 zones 3 and 4 take 18 each, zone 5
    # the other 11.
    (
        [[0, 5, 5, 5, 5], [24, 0, 5, 5, 5], [24, 5, 0, 5, 5], [24, 5, 5, 0, 5], [24, 5, 5, 5, 0]],
        *([30, 30, 30, 30, 30], [35, 17, 35, 35, 28]),
        *(36, 47, 0),
    ),
]


@pytest.mark.parametrize(("demand", "wanted", "after", "unserved", "surplus", "moved"), BY_HAND)
def test_a_step_by_hand(
    demand: list[list[int]], wanted: list[int], after: list[int], unserved: int, surplus: int, moved: int
) -> None:
    env = Scripted(demand)
    env.reset(seed=0)
    observation, reward, _, _, info = env.step(np.array(wanted, dtype=np.float32))
    assert info == {"unserved": unserved, "surplus": surplus, "moved": moved}
    assert reward == -(unserved + surplus + 2 * moved)
    assert observation.tolist() == [*np.sum(demand, axis=1), *after, 1]


def test_the_next_relocation_is_counted_from_where_the_bikes_are() -> None:
    env = Scripted([[0, 20, 20], [10, 0, 10], [10, 10, 0]])
    env.reset(seed=0)
    env.step(np.full(3, 30.0))
    *_, info = env.step(np.full(3, 30.0))  # from [20, 35, 35]
    assert info["moved"] == 10


# --- demand, trips, surplus -----------------------------------------------------------------------------------


@pytest.mark.parametrize("zones", [3, 5])
def test_demand_is_uniform_between_different_zones(zones: int) -> None:
    env = BikeSharingEnv(zones)
    env.reset(seed=11)
    draws = np.stack([env.draw_demand() for _ in range(20_000)])
    assert (draws[:, np.arange(zones), np.arange(zones)] == 0).all()
    between = draws[:, ~np.eye(zones, dtype=bool)]
    shares = np.stack([(between == value).mean(axis=0) for value in range(5, 25)])
    np.testing.assert_allclose(shares.sum(axis=0), 1.0)
    # Each share is 0.05 with a standard error of 0.0015.
    np.testing.assert_allclose(shares, 0.05, atol=0.008)
    correlation = np.corrcoef(between.T) - np.eye(between.shape[1])
    assert np.abs(correlation).max() < 0.04


def test_trips_are_whole_conserved_and_close_to_proportional() -> None:
    rng = np.random.default_rng(0)
    for zones in (3, 5):
        for _ in range(2_000):
            demand = rng.integers(5, 25, size=(zones, zones)) * (1 - np.eye(zones, dtype=np.int64))
            served = rng.integers(0, np.minimum(demand.sum(axis=1), 35) + 1)
            trips = split_trips(demand, served)
            assert trips.dtype.kind == "i"
            np.testing.assert_array_equal(trips.sum(axis=1), served)
            assert (trips >= 0).all()
            assert (trips <= demand).all()
            assert (np.abs(trips - demand * (served / demand.sum(axis=1))[:, None]) < 1).all()


@pytest.mark.parametrize(
    ("demand", "served", "trips"),
    [
        ([0, 10, 10], 7, [0, 4, 3]),  # 3.5 and 3.5: the tie goes to the lower number
        ([0, 20, 10], 10, [0, 7, 3]),  # 6.67 and 3.33
        ([0, 5, 24], 29, [0, 5, 24]),  # all of it
        ([0, 5, 24], 0, [0, 0, 0]),
        ([0, 0, 0], 0, [0, 0, 0]),
    ],
)
def test_trips_by_hand(demand: list[int], served: int, trips: list[int]) -> None:
    matrix = np.array([demand, [0, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(split_trips(matrix, np.array([served, 0, 0]))[0], trips)


def one_bike_at_a_time(bikes: list[int], neighbours: np.ndarray) -> list[int]:
    """The rule word for word: zone by zone, a bike too many goes to the nearest zone with room."""
    held = list(bikes)
    for zone in range(len(held)):
        while held[zone] > 35:
            target = next(other for other in neighbours[zone] if held[other] < 35)
            held[zone] -= 1
            held[target] += 1
    return held


@pytest.mark.parametrize("zones", [3, 5])
def test_surplus_goes_to_the_nearest_zone_with_room(zones: int) -> None:
    rng = np.random.default_rng(1)
    neighbours = nearest_first(zones)
    for _ in range(2_000):
        bikes = rng.multinomial(30 * zones, rng.dirichlet(np.ones(zones)))
        after, passed = pass_on_surplus(bikes, neighbours)
        assert after.tolist() == one_bike_at_a_time(bikes.tolist(), neighbours)
        assert passed == np.maximum(bikes - 35, 0).sum()


# --- actions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ([30.0, 30.0, np.nan], "NaN or infinite"),
        ([45.0, 45.0], r"shape \(2,\); expected \(3,\)"),
        (90.0, r"shape \(\); expected \(3,\)"),
    ],
)
def test_what_is_no_action_is_refused(action: object, message: str) -> None:
    env = BikeSharingEnv(3)
    env.reset(seed=0)
    with pytest.raises(UserError, match=message) as caught:
        env.step(action)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_other_numbers_of_zones_are_refused() -> None:
    with pytest.raises(UserError, match="4 zones"):
        BikeSharingEnv(4)


def test_without_a_time_limit_observations_stay_in_their_space() -> None:
    env = BikeSharingEnv(3)
    env.reset(seed=0)
    for _ in range(150):
        observation, *_ = env.step(np.full(3, 30))
    assert observation in env.observation_space


@pytest.mark.parametrize("zones", [3, 5])
def test_a_frame_shows_each_zone_and_nothing_else_moves(zones: int) -> None:
    env = BikeSharingEnv(zones, render_mode="rgb_array", width=224)
    assert BikeSharingEnv(zones).render() is None
    env.reset(seed=0)
    start = env.render()
    env.step(np.full(zones, 30))
    frame = env.render()
    assert start is not None
    assert frame is not None
    assert (frame.shape, frame.dtype) == ((168, 224, 3), np.uint8)
    assert (frame == env.render()).all()
    # Bars changed; axes, ticks and legend below them did not.
    assert (frame != start).any()
    assert (frame[120:] == start[120:]).all()
    with pytest.raises(UserError, match="no render mode 'human': use 'rgb_array'"):
        BikeSharingEnv(zones, render_mode="human")
