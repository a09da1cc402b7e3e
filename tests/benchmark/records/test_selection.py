"""Which results tables are made from: what is missing, failed, elsewhere or refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.records.selection import commits
from envs.errors import UserError
from tests.benchmark.synthetic_results import (
    METHODS,
    SEEDS,
    STEPS,
    TWO_TASKS,
    alter,
    board_of,
    make_failure,
    make_flow,
    make_provenance,
    make_run,
    make_timing,
    row_of,
    save,
    save_anchors,
    tables_of,
)


def test_a_task_of_which_there_are_only_a_flow_and_a_timing_is_named_apart(copied: Path) -> None:
    save(copied, make_flow("BSS-3"))
    save(copied, make_timing("BSS-3"))
    save(copied, make_timing("BSS-5"))
    written = tables_of(copied, (*TWO_TASKS, "BSS-3", "BSS-5", "H+M"))
    expected = " ".join(
        f"No method has been trained yet on {told}."
        for told in ("BSS-3 (made: flows and timing)", "BSS-5 (made: timing)", "H+M (left out)")
    )
    assert expected in written["README.md"]
    assert expected in written["returns.md"]
    assert "| BSS-3" in written["timing.md"]


def test_a_run_outside_of_the_selection_is_named_and_not_used(copied: Path) -> None:
    save(copied, make_run("R+L2", "nfw", 7))
    written = tables_of(copied)
    assert row_of(written["returns.md"], "R+L2", "nfw")[2] == "2/2"
    assert "not shown: runs/R+L2/nfw/seed-7.json." in written["returns.md"]
    for seed in range(8, 12):
        save(copied, make_run("R+L2", "nfw", seed))
    paths = ", ".join(f"runs/R+L2/nfw/seed-{seed}.json" for seed in (10, 11, 7))
    assert f"not shown: {paths}, 2 more." in tables_of(copied)["returns.md"]


def test_profiles_never_mix(copied: Path) -> None:
    path = save(copied, make_run("R+L2", "nfw", 1, profile="paper"))
    with pytest.raises(UserError, match=re.escape(str(path)) + ".*'paper'"):
        tables_of(copied)
    assert not (copied / "tables").exists()
    save(copied, make_run("R+L2", "nfw", 1))
    save(copied, make_flow("R+L2", profile="paper"))
    with pytest.raises(UserError, match=re.escape("flows/flowpg/R+L2.json") + ".*'paper'"):
        tables_of(copied)


def test_runs_from_before_and_after_a_setting_was_added_are_one_row(tmp_path: Path) -> None:
    old, new = ({"steps": STEPS, "method": method} for method in ({"alpha": 0.01}, {"alpha": 0.01, "warmup": 10_000}))
    folder = tmp_path / "quick"
    save(folder, make_run("R+L2", "nfw", 0, config=old), make_run("R+L2", "nfw", 1, config=new))
    assert row_of(tables_of(folder)["returns.md"], "R+L2", "nfw")[2] == "2/2"
    alter(folder / "runs/R+L2/nfw/seed-1.json", lambda data: data["config"]["method"].update(warmup=9))
    with pytest.raises(UserError, match="seeds 0 and 1 were run with different method"):
        tables_of(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 3}, "schema version 3"),
        ({"task": "HC+O"}, "move it there"),
        ({"returns": None}, "marked complete but lacks"),
        ({"config": {"steps": 7}}, "different budgets: 7, 20000"),
        ({"config": {"steps": STEPS, "gamma": 0.5}}, "different gamma, network"),
        ({"seconds": {}}, "took no time"),
    ],
)
def test_a_file_that_would_spoil_a_table_is_refused(copied: Path, changes: dict[str, object], message: str) -> None:
    alter(copied / "runs/R+L2/nfw/seed-1.json", lambda data: data.update(**changes))
    with pytest.raises(UserError, match=message) as caught:
        tables_of(copied)
    assert "\n" not in str(caught.value)
    assert not (copied / "tables").exists()


def test_failed_and_timed_out_runs_are_missing_and_listed(copied: Path) -> None:
    save(copied, make_failure("R+L2", "nfw", 0))
    save(copied, make_failure("HC+O", "nfw", 1, status="timeout", error="gave up after 60 s"))
    written = tables_of(copied)
    for name in ("violations", "wallclock", "returns"):
        assert row_of(written[f"{name}.md"], "R+L2", "nfw")[2] == "1/2"
        expected = "R+L2, nfw, seed 0 failed and counts as missing: RuntimeError: loss is not \\| finite"
        assert expected in written[f"{name}.md"]
        assert "HC+O, nfw, seed 1 timed out and counts as missing: gave up after 60 s" in written[f"{name}.tex"]
    assert written["README.md"].count("R+L2, nfw, seed 0 failed") == 1


def test_a_failed_reference_run_is_listed_and_its_task_has_no_scores(copied: Path) -> None:
    save_anchors(copied)
    save(copied, make_failure("R+N", "ddpg-projection", 0))
    save(copied, make_failure("HC+O", "random-feasible", 1))
    board = board_of(copied, TWO_TASKS, METHODS, SEEDS)
    assert [(run.task, run.method) for run in board.found.failures] == [
        ("HC+O", "random-feasible"),
        ("R+N", "ddpg-projection"),
    ]
    assert board.scales == {
        "R+L2": "1 of 2 unconstrained reference runs are complete",
        "HC+O": "1 of 2 random-feasible reference runs are complete",
    }
    assert "R+N, ddpg-projection, seed 0 failed" in tables_of(copied)["README.md"]


def test_seeds_are_in_numeric_order(copied: Path) -> None:
    for seed in (2, 10):
        save(copied, make_failure("R+L2", "nfw", seed))
    text = tables_of(copied, seeds=(0, 1, 2, 10))["returns.md"]
    assert text.index("seed 2 failed") < text.index("seed 10 failed")


def test_a_missing_run_is_counted_and_a_missing_row_shown(copied: Path) -> None:
    (copied / "runs/R+L2/nfw/seed-1.json").unlink()
    for seed in SEEDS:
        (copied / f"runs/R+L2/flowpg/seed-{seed}.json").unlink()
    written = tables_of(copied, (*TWO_TASKS, "BSS-3"))
    assert row_of(written["returns.md"], "R+L2", "nfw")[2] == "1/2"
    assert "[" not in row_of(written["returns.md"], "R+L2", "nfw")[3]
    assert row_of(written["returns.md"], "R+L2", "flowpg")[2:] == ["0/2", "—", "—"]
    assert "17 of 30 runs are complete." in written["README.md"]


def test_no_run_is_missing_where_a_method_is_only_timed(copied: Path) -> None:
    for seed in SEEDS:
        (copied / f"runs/R+L2/nfw/seed-{seed}.json").unlink()
    text = tables_of(copied, only_timed={"nfw": ["R+L2"]})["README.md"]
    assert "18 of 18 runs are complete." in text
    assert "On R+L2, nfw is timed and not trained." in text


def test_one_result_with_uncommitted_changes_is_told() -> None:
    clean, dirty = (make_provenance(commit=letter * 40, dirty=letter == "b") for letter in "ab")
    assert commits([clean, clean]) == "a" * 12
    assert commits([dirty, clean]) == f"{'a' * 12}, {'b' * 12} (with uncommitted changes)"
