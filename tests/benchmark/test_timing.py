"""The timing of training steps: real methods by the real harness, and the table made of it. No time is asserted."""

from __future__ import annotations

import math
import re
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import benchmark.training.timing as module
from benchmark.analysis.timing import timing_frame, timing_tables
from benchmark.publishing.tables.rendering import markdown
from benchmark.records.config import Params, load_params
from benchmark.records.reports import TimedRound, TimingReport, timing_path
from benchmark.records.results import read_record
from benchmark.records.selection import read_selection
from benchmark.training.timing import time_steps, timing_state, turns
from envs.errors import MethodFailedError, UserError
from tests.benchmark.command import acrl, workplace
from tests.benchmark.factories import METHODS, PROFILE, make_flow, make_timing, save

FEW = ("flowpg", "ddpg-projection-qp", "ddpg-penalty")


@pytest.fixture(scope="module")
def params() -> Params:
    """Profile smoke on R+L2 with three methods."""
    whole = load_params()
    smoke = whole.profiles["smoke"].model_copy(
        update={"tasks": ("R+L2",), "flow_methods": FEW[:1], "plain_methods": FEW[1:]}
    )
    return whole.model_copy(update={"profiles": {"smoke": smoke}})


@pytest.fixture(scope="module")
def timed(params: Params, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one task timed."""
    results = tmp_path_factory.mktemp("results")
    done: list[int] = []
    assert time_steps(params, "smoke", "R+L2", results, done.append) == timing_path(results / "smoke", "R+L2")
    assert done == list(range(1, turns(params, "smoke") + 1))
    return results


def test_every_method_has_its_rounds_and_every_part_its_time(params: Params, timed: Path) -> None:
    report = read_record(timing_path(timed / "smoke", "R+L2"), TimingReport)
    settings = params.profiles["smoke"].timing
    assert {method: len(rounds) for method, rounds in report.rounds.items()} == dict.fromkeys(FEW, settings.rounds)
    assert (report.task, report.profile, report.steps) == ("R+L2", "smoke", settings.steps)
    assert report.solvers == {"flowpg": "exact", "ddpg-projection-qp": "cvxpy", "ddpg-penalty": "exact"}
    assert report.flows == ["flowpg"]
    for one in (one for rounds in report.rounds.values() for one in rounds):
        # An update in every round: learning starts with the first step.
        assert min(one.act, one.env, one.update) > 0
        assert one.step == pytest.approx(one.act + one.project + one.env + one.update + one.other)
    assert all(one.project > 0 for one in report.rounds["ddpg-projection-qp"])


def test_nothing_but_the_report_is_left(timed: Path) -> None:
    assert [path.name for path in timed.rglob("*") if path.is_file()] == ["R+L2.json"]


def test_is_stale_when_settings_change_and_missing_before(params: Params, timed: Path, tmp_path: Path) -> None:
    assert timing_state(params, "smoke", "R+L2", timed) == "complete"
    assert timing_state(params, "smoke", "R+L2", tmp_path) == "missing"
    smoke, timed_task = params.profiles["smoke"], ("smoke", "R+L2", timed)
    states = [
        timing_state(params.model_copy(update={"profiles": {"smoke": smoke.model_copy(update=change)}}), *timed_task)
        for change in (
            {"learner": {**smoke.learner, "batch_size": 8}},
            {"plain_methods": FEW[1:2]},
            {"plain_methods": (*smoke.plain_methods, "td3-projection")},
        )
    ]
    assert states == ["stale", "complete", "complete"]
    longer = smoke.model_copy(update={"steps": 99_000, "seeds": (5,)})
    assert timing_state(params.model_copy(update={"profiles": {"smoke": longer}}), "smoke", "R+L2", timed) == "complete"


def test_a_method_that_fails_is_named_and_nothing_written(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> dict[str, float]:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("methods.ddpg_penalty.DDPGPenalty.update", fail)
    with pytest.raises(MethodFailedError, match=r"ddpg-penalty on R\+L2 failed: RuntimeError: on purpose"):
        time_steps(params, "smoke", "R+L2", tmp_path)
    assert not timing_path(tmp_path / "smoke", "R+L2").exists()


def test_other_work_is_seen_and_own_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own:
        def cpu_times(self) -> SimpleNamespace:
            return SimpleNamespace(user=own[0], system=own[1])

    Times = namedtuple("Times", ["user", "system", "idle", "iowait", "guest"])
    machine, own, now = [Times(10.0, 5.0, 100.0, 3.0, 2.0)], [4.0, 1.0], [50.0]
    monkeypatch.setattr("benchmark.training.timing.psutil.cpu_times", lambda: machine[0])
    monkeypatch.setattr("benchmark.training.timing.psutil.Process", Own)
    monkeypatch.setattr("benchmark.training.timing.time.perf_counter", lambda: now[0])
    with module._others() as others:
        # In 40 seconds on two cores this process had 31 and others 15, one a guest's, which is user time too.
        machine[0] = Times(10.0 + 40, 5.0 + 6, 100.0 + 30, 3.0 + 4, 2.0 + 1)
        own[:], now[0] = [4.0 + 28, 1.0 + 3], 90.0
    assert others.busy_cores == pytest.approx(15 / 40)


# --- the table --------------------------------------------------------------------------------------------------------


def selected(folder: Path) -> pd.DataFrame:
    return timing_frame(read_selection(folder, PROFILE, ("R+L2",), METHODS, (0, 1)))


def test_parts_add_up_and_are_compared_with_the_reference(tmp_path: Path) -> None:
    timing = make_timing()
    save(tmp_path, timing)
    save(tmp_path, make_flow(seconds=50.0))
    means = selected(tmp_path).set_index(["method", "quantity"])["mean"].unstack()
    parts = means[["act", "project", "env", "update", "other"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(means["step"].to_numpy())
    for method, flow in (("flowpg", 50.0), ("nfw", 0.0)):
        assert means.loc[method, "training"] == pytest.approx(means.loc[method, "step"] / 1000 * 300_000 + flow)
    steps = {method: [one.step for one in rounds] for method, rounds in timing.rounds.items()}
    ratio = (math.prod(steps["flowpg"]) / math.prod(steps["ddpg-projection-qp"])) ** (1 / 3)
    assert means.loc["flowpg", "step ratio"] == pytest.approx(ratio)
    updates = {method: [one.update for one in rounds] for method, rounds in timing.rounds.items()}
    ratio = (math.prod(updates["flowpg"]) / math.prod(updates["ddpg-projection"])) ** (1 / 3)
    assert means.loc["flowpg", "update to exact"] == pytest.approx(ratio)
    assert means.loc["ddpg-projection", "step to exact"] == means.loc["ddpg-projection", "update to exact"] == 1
    assert means.loc["ddpg-projection-qp", "step ratio"] == means.loc["ddpg-projection-qp", "training ratio"] == 1


def test_a_flow_that_was_not_trained_leaves_the_whole_training_open(tmp_path: Path) -> None:
    save(tmp_path, make_timing())
    means = selected(tmp_path).set_index(["method", "quantity"])["mean"].unstack()
    assert math.isnan(means.loc["flowpg", "training"])
    assert means.loc["nfw", "training"] > 0


def test_busy_rounds_and_flows_of_other_machines_are_marked(tmp_path: Path) -> None:
    timing = make_timing()
    assert timing.provenance is not None
    timing.rounds["nfw"][1] = timing.rounds["nfw"][1].model_copy(update={"busy_cores": 0.75})
    save(tmp_path, timing)
    other = timing.provenance.model_copy(update={"processor": "Another CPU"})
    save(tmp_path, make_flow(provenance=other))
    (table,) = timing_tables(read_selection(tmp_path, PROFILE, ("R+L2",), METHODS, (0, 1)))
    assert table.notes == [
        "† R+L2, flowpg: the flow was trained on another machine.",
        "† R+L2, nfw: up to 0.75 cores were busy with other work.",
    ]
    marked = [line.split("|")[2].strip() for line in markdown(table, [], "#").splitlines() if "†" in line]
    assert marked == ["flowpg", "nfw", "nfw", "nfw"]
    assert "3 rounds of 200 steps" in table.caption


def test_without_timings_there_is_no_table(tmp_path: Path) -> None:
    save(tmp_path, make_flow())
    assert timing_tables(read_selection(tmp_path, PROFILE, ("R+L2",), METHODS, (0, 1))) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "HC+O"}, "holds the timing of HC+O"),
        ({"profile": "small"}, "profile 'small'"),
        (
            {
                "rounds": {"nfw": [TimedRound(act=0, project=0, env=0, update=0, other=0, busy_cores=0)]},
                "solvers": {"nfw": "exact"},
            },
            "a training step that took no time",
        ),
        ({"rounds": {}}, "lacks rounds or solvers"),
        ({"solvers": {}}, "lacks rounds or solvers"),
    ],
)
def test_a_timing_from_elsewhere_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    make_timing(**changes).write(timing_path(tmp_path, "R+L2"))
    with pytest.raises(UserError, match=re.escape(message)):
        selected(tmp_path)


def test_the_command_names_an_unknown_task(tmp_path: Path) -> None:
    done = acrl(workplace(tmp_path), "timing", "R+L3", "-p", "smoke")
    assert done.code == 2
    assert "R+L2" in done.err
    assert len(done.err.splitlines()) == 1
