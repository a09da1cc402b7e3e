"""What was recorded is what is computed: to the bit on the machine that recorded it, within a tolerance elsewhere."""

from __future__ import annotations

import re

import pytest

from tests.golden.catalogue import GOLDENS
from tests.golden.records import computed, differences, record, recorded
from tests.golden.trajectories import COURSES, SETTINGS


@pytest.mark.parametrize("name", GOLDENS)
def test_it_is_as_recorded(name: str, request: pytest.FixtureRequest) -> None:
    golden = GOLDENS[name]
    found = computed(golden)
    if request.config.getoption("--record", default=False):
        record(name, found)
        pytest.skip("recorded")
    expected, here = recorded(name)
    found_off = differences(found, expected, 0.0 if golden.bitwise and here else golden.tolerance)
    assert not found_off, "\n".join(["undo the change, or raise the version and record anew:", *found_off])


@pytest.mark.parametrize("learner", [r"ddpg|nfw", "flowpg", "sac|td3", "random-feasible"])
def test_every_kind_of_learner_meets_every_situation(learner: str) -> None:
    names = [name for name in GOLDENS if re.match(rf"trajectories/({learner})", name)]
    runs = {name.rsplit("/", 1)[1]: recorded(name)[0] for name in names}
    assert any(run["terminated"] for run in runs.values())
    assert any(run["truncated"] for run in runs.values())
    assert any(COURSES[task].interrupted_at for task in runs)
    assert all(course.steps > SETTINGS["replay_size"] > SETTINGS["warmup"] for course in COURSES.values())
    if learner != "random-feasible":
        assert any(run["policy counts"][1] for run in runs.values())
