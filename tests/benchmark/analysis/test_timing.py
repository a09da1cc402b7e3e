"""What a training step costs, from timings that nobody took."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmark.publishing.tables.leaderboard import timing_tables
from benchmark.publishing.tables.rendering import markdown
from benchmark.records.reports import TimedRound, timing_path
from envs.errors import UserError
from tests.benchmark.synthetic_results import METHODS, board_of, make_flow, make_provenance, make_timing, save


def test_parts_add_up_and_are_compared_with_the_reference(tmp_path: Path) -> None:
    timing = make_timing(methods=(*METHODS, "flowpg-spline"), flows=["flowpg", "flowpg-spline"])
    save(tmp_path, timing, make_flow(seconds=50.0))
    board = board_of(tmp_path, ("R+L2",), (*METHODS, "flowpg-spline"))
    means = board.timing.set_index(["method", "quantity"])["mean"].unstack()
    parts = means[["act", "project", "env", "update", "other"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(means["step"].to_numpy())
    for method, flow in (("flowpg", 50.0), ("nfw", 0.0)):
        assert means.loc[method, "training"] == pytest.approx(means.loc[method, "step"] / 1000 * 300_000 + flow)
    # A flow that there is no report on leaves the whole training open.
    assert math.isnan(means.loc["flowpg-spline", "training"])
    steps = {method: [one.step for one in rounds] for method, rounds in timing.rounds.items()}
    ratio = (math.prod(steps["flowpg"]) / math.prod(steps["ddpg-projection-qp"])) ** (1 / 3)
    assert means.loc["flowpg", "step ratio"] == pytest.approx(ratio)
    updates = {method: [one.update for one in rounds] for method, rounds in timing.rounds.items()}
    ratio = (math.prod(updates["flowpg"]) / math.prod(updates["ddpg-projection"])) ** (1 / 3)
    assert means.loc["flowpg", "update to exact"] == pytest.approx(ratio)
    assert means.loc["ddpg-projection", "step to exact"] == means.loc["ddpg-projection-qp", "step ratio"] == 1


def test_busy_rounds_and_flows_of_other_machines_are_marked(tmp_path: Path) -> None:
    save(tmp_path, make_flow(provenance=make_provenance(machine="1" * 12)))
    assert timing_tables(board_of(tmp_path, ("R+L2",))) == []
    timing = make_timing()
    timing.rounds["nfw"][1] = timing.rounds["nfw"][1].model_copy(update={"busy_cores": 0.75})
    save(tmp_path, timing)
    (table,) = timing_tables(board_of(tmp_path, ("R+L2",)))
    assert table.notes == [
        "Machines: Example CPU 3000, 1 thread, machine 000000000000; other load took at most 0.75 cores.",
        "† the flow was trained on another or an unknown machine: R+L2 (flowpg).",
        "† up to 0.75 cores were busy with other work: R+L2 (nfw).",
    ]
    marked = [line.split("|")[2].strip() for line in markdown(table, [], "#").splitlines() if "†" in line]
    assert marked == ["flowpg", "nfw", "nfw", "nfw"]
    assert "3 rounds of 200 steps" in table.caption


def test_a_method_that_was_not_timed_has_no_mark(tmp_path: Path) -> None:
    timing = make_timing(methods=tuple(method for method in METHODS if method != "nfw"))
    reference = timing.rounds["ddpg-projection-qp"]
    reference[0] = reference[0].model_copy(update={"busy_cores": 0.75})
    save(tmp_path, make_flow(), timing)
    (table,) = timing_tables(board_of(tmp_path, ("R+L2",)))
    (marked,) = [note for note in table.notes if note.startswith("†")]
    assert marked == f"† up to 0.75 cores were busy with other work: R+L2 ({', '.join(timing.rounds)})."


def test_a_timing_from_elsewhere_or_of_nothing_is_refused(tmp_path: Path) -> None:
    nothing = TimedRound(act=0, project=0, env=0, update=0, other=0, busy_cores=0)
    for changes, message in (
        ({"task": "HC+O"}, r"holds the timing of HC\+O"),
        ({"rounds": {"nfw": [nothing]}, "solvers": {"nfw": "exact"}}, "a training step that took no time"),
        ({"solvers": {}}, "lacks rounds or solvers"),
    ):
        make_timing(**changes).write(timing_path(tmp_path, "R+L2"))
        with pytest.raises(UserError, match=message):
            board_of(tmp_path, ("R+L2",))
