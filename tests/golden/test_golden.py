"""What was recorded is what is computed: to the bit on the machine that recorded it, within a tolerance elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.catalogue import GOLDENS
from tests.golden.mistakes import HARMLESS, MISTAKES
from tests.golden.records import computed, differences, record, recorded
from tests.golden.trajectories import COURSES, SETTINGS

PLANTS = MISTAKES | HARMLESS
# Those that drift most where libraries take other paths, as on another processor.
DRIFTING = (
    "families/float32/R+L2",
    "flows/gauge/R+L2",
    "flows/realnvp/BSS-3",
    "samplers/hmc/R+Ring",
    "trajectories/flowpg-spline/H+O+S",
    "trajectories/salpha/H+M",
)


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


LEARNERS = (r"ddpg|nfw", "flowpg", r"d(pro|pre|opt|alpha|rad)|td3", r"s(ac|pre|alpha|rad)", "random-feasible")


@pytest.mark.parametrize("learner", LEARNERS)
def test_every_kind_of_learner_meets_every_situation(learner: str) -> None:
    names = [name for name in GOLDENS if re.match(rf"trajectories/({learner})", name)]
    runs = [recorded(name)[0] for name in names]
    assert any(run["terminated"] for run in runs)
    assert any(run["truncated"] for run in runs)
    assert any(COURSES[name.rsplit("/", 1)[1]].interrupted_at for name in names)
    assert all(course.steps > SETTINGS["replay_size"] > SETTINGS["warmup"] for course in COURSES.values())
    if learner != "random-feasible":
        assert any(run["policy counts"][1] for run in runs)


@pytest.mark.parametrize(("mistake", "name"), [(mistake, name) for mistake in PLANTS for name in PLANTS[mistake][1]])
def test_a_mistake_is_noticed_and_planting_alone_is_not(mistake: str, name: str) -> None:
    plant, _ = PLANTS[mistake]
    with pytest.MonkeyPatch.context() as patch:
        plant(patch)
        found = computed(GOLDENS[name])
    # Within other processors' tolerance too.
    found_off = differences(found, recorded(name)[0], GOLDENS[name].tolerance)
    assert bool(found_off) == (mistake in MISTAKES)


@pytest.mark.parametrize("switch", ["ATEN_CPU_CAPABILITY=default", "MKL_CBWR=COMPATIBLE"])
def test_other_instructions_stay_within_the_tolerance(switch: str) -> None:
    name, value = switch.split("=")
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.golden.catalogue", *DRIFTING]
    done = subprocess.run(command, cwd=root, env=os.environ | {name: value}, capture_output=True, text=True, check=True)
    drifts = json.loads(done.stdout)
    assert {golden: drift for golden, drift in drifts.items() if not drift <= GOLDENS[golden].tolerance} == {}
    # The switch did something.
    assert max(drifts.values()) > 0
