"""The leaderboard of results with known scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from benchmark.analysis.leaderboard import ALL_TASKS, Leaderboard, rank_ranges
from benchmark.analysis.statistics import Estimate
from benchmark.publishing.figures.leaderboard import draw_leaderboard
from benchmark.publishing.tables.leaderboard import leaderboard_table
from benchmark.publishing.tables.rendering import DASH
from benchmark.records.runs import unconstrained_task
from envs import list_tasks, make_task
from envs.errors import UserError
from tests.benchmark.synthetic_results import PROFILE, TWO_TASKS, alter, board_of, make_run_with_return, save

METHODS = ("ddpg-projection", "nfw")
SEEDS = (0, 1, 2)
ENDS = {"R+L2": (-60.0, -10.0), "HC+O": (-300.0, 4700.0)}


def save_scores(folder: Path, method: str, scores: tuple[float, ...], tasks: tuple[str, ...] = TWO_TASKS) -> None:
    """Write runs of a method with these scores, one a seed."""
    for task in tasks:
        low, high = ENDS[task]
        for seed, score in enumerate(scores):
            save(folder, make_run_with_return(task, method, seed, low + score * (high - low)))


def remove_anchors(folder: Path, *tasks: str) -> None:
    for task in tasks:
        for path in (folder / "runs" / task / "ddpg-projection").iterdir():
            path.unlink()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / PROFILE
    for task, free in (("R+L2", "R+N"), ("HC+O", "HC+N")):
        for seed in SEEDS:
            save(folder, make_run_with_return(task, "random-feasible", seed, ENDS[task][0] + seed - 1))
            save(folder, make_run_with_return(free, "ddpg-projection", seed, ENDS[task][1] + seed - 1))
    save_scores(folder, "ddpg-projection", (0.5, 0.51, 0.52))
    save_scores(folder, "nfw", (0.8, 0.82, 0.84))
    return folder


def select(folder: Path, methods: tuple[str, ...] = METHODS, tasks: tuple[str, ...] = TWO_TASKS) -> Leaderboard:
    return board_of(folder, tasks, methods, SEEDS)


def row(frame: pd.DataFrame, task: str, method: str, quantity: str) -> pd.Series:
    found = frame[(frame["task"] == task) & (frame["method"] == method) & (frame["quantity"] == quantity)]
    assert len(found) == 1
    return found.iloc[0]


def test_every_constrained_task_has_a_counterpart_without_the_constraint() -> None:
    free = {task: unconstrained_task(make_task(task)) for task in list_tasks()}
    assert free["R+T"] == free["R+2D"] == free["R+N"] == "R+N"
    assert (free["HC+MA"], free["BSS-3"], free["BSS-5"], free["An+L2"]) == ("HC+N", "BSS-3+N", "BSS-5+N", "An+N")
    assert None not in free.values()


def test_scores_are_on_the_scale_of_the_anchors(folder: Path) -> None:
    board = select(folder)
    assert board.scales["R+L2"] == pytest.approx(ENDS["R+L2"])
    assert board.scores["HC+O", "nfw"] == pytest.approx([0.8, 0.82, 0.84])
    whole = row(board.frame, ALL_TASKS, "nfw", "score")
    assert whole["mean"] == pytest.approx(0.82)
    assert (whole["n"], whole["N"]) == (6, 6)
    assert whole["low"] < 0.82 < whole["high"]


def test_a_new_method_moves_nobody_else(folder: Path) -> None:
    before = select(folder).frame
    save_scores(folder, "flowpg", (3.0, 4.0, 5.0))
    after = select(folder, (*METHODS, "flowpg")).frame
    ranks = ("best rank", "worst rank")
    kept = after[(after["method"] != "flowpg") & ~after["quantity"].isin(ranks)].reset_index(drop=True)
    expected = before[~before["quantity"].isin(ranks)].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, expected)
    assert row(after, ALL_TASKS, "flowpg", "best rank")["mean"] == 1
    assert row(after, ALL_TASKS, "nfw", "best rank")["mean"] == 2


def test_overlapping_intervals_are_ties(folder: Path) -> None:
    save_scores(folder, "flowpg", (0.84, 0.82, 0.8))
    frame = select(folder, (*METHODS, "flowpg")).frame
    ranks = {m: [row(frame, ALL_TASKS, m, f"{end} rank")["mean"] for end in ("best", "worst")] for m in frame["method"]}
    assert ranks == {"nfw": [1, 2], "flowpg": [1, 2], "ddpg-projection": [3, 3]}


def interval(low: float | None, high: float | None) -> Estimate:
    return Estimate(0.0, low, high, 3, "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"a": interval(0, 1), "b": interval(2, 3)}, {"a": (2, 2), "b": (1, 1)}),
        # b overlaps both, though a and c are apart.
        ({"a": interval(0, 1), "b": interval(0.5, 2.5), "c": interval(2, 3)}, {"a": (2, 3), "b": (1, 3), "c": (1, 2)}),
        ({"a": interval(0, 1), "b": interval(1, 2)}, {"a": (1, 2), "b": (1, 2)}),
        ({"a": interval(0, 1), "b": interval(None, None)}, {"a": (1, 1)}),
        ({}, {}),
    ],
)
def test_rank_ranges(given: Mapping[str, Estimate], expected: Mapping[str, tuple[int, int]]) -> None:
    assert rank_ranges(given) == expected


def test_a_method_that_lacks_a_task_is_not_ranked_and_the_table_says_so(folder: Path) -> None:
    save_scores(folder, "flowpg", (0.9, 0.9, 0.9), ("R+L2",))
    board = select(folder, (*METHODS, "flowpg"))
    assert board.ranked_methods == list(METHODS)
    table = leaderboard_table(board, "Described.")
    assert any("lack runs of some of these tasks: flowpg." in note for note in table.notes)
    assert row(table.frame, "R+L2", "flowpg", "score")["n"] == 3


def test_a_missing_run_is_counted_and_does_not_hide_the_others(folder: Path) -> None:
    (folder / "runs" / "HC+O" / "nfw" / "seed-1.json").unlink()
    whole = row(select(folder).frame, ALL_TASKS, "nfw", "score")
    assert (whole["n"], whole["N"]) == (5, 6)
    assert pd.notna(whole["low"])


def test_a_task_without_anchors_has_no_scores_and_says_why(folder: Path) -> None:
    remove_anchors(folder, "R+N")
    board = select(folder)
    assert board.scales["R+L2"] == "no complete unconstrained run to measure returns by"
    assert board.scores["R+L2", "nfw"] == []
    measured = leaderboard_table(board, "").views[-1].cells.set_index("task")
    assert measured["no scores, since"]["R+L2"] == board.scales["R+L2"]
    assert (measured["score 1"]["R+L2"], measured["runs of score 1"]["R+L2"]) == (DASH, "0/3")
    assert measured["no scores, since"]["HC+O"] == ""
    frame = board.frame
    assert row(frame, ALL_TASKS, "nfw", "score")["N"] == len(SEEDS)


def test_the_figure_names_the_methods_in_a_legend_that_fits(folder: Path) -> None:
    names = (*METHODS, "ddpg-projection-qp", "ddpg-penalty", "flowpg-spline", "flowpg-gauge", "sac-projection")
    for method in names[len(METHODS) :]:
        save_scores(folder, method, (0.7, 0.71, 0.72))
    figure = draw_leaderboard(select(folder, (*names, "td3-projection")))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == set(names)
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert 0 <= box.y0 < box.y1 <= min(panel.get_tightbbox().y0 for panel in figure.axes)


def test_validity_over_all_tasks_counts_tasks_without_scores(folder: Path) -> None:
    remove_anchors(folder, "R+N")
    valid = select(folder).frame[lambda frame: (frame["quantity"] == "valid share") & (frame["tolerance"] == 0)]
    shares = valid.set_index(["task", "method"])
    whole = shares.loc[(ALL_TASKS, "nfw")]
    assert (whole["n"], whole["N"]) == (6, 6)
    assert whole["mean"] == pytest.approx((shares["mean"]["R+L2", "nfw"] + shares["mean"]["HC+O", "nfw"]) / 2)


def test_without_any_score_there_are_still_rows_of_all_tasks(folder: Path) -> None:
    remove_anchors(folder, "R+N", "HC+N")
    frame = select(folder).frame
    assert pd.isna(row(frame, ALL_TASKS, "nfw", "score")["mean"])
    whole = frame[(frame["task"] == ALL_TASKS) & (frame["quantity"] == "valid share")]
    assert set(whole["method"]) == set(METHODS)
    assert whole["mean"].notna().all()


def test_anchors_that_do_not_tell_good_from_bad_give_no_scale(folder: Path) -> None:
    save(folder, make_run_with_return("R+N", "ddpg-projection", 1, -60.5))
    assert "not clearly better than random" in str(select(folder).scales["R+L2"])


def test_anchors_of_another_budget_are_refused(folder: Path) -> None:
    alter(
        folder / "runs" / "R+N" / "ddpg-projection" / "seed-0.json",
        lambda run: run["config"].update(steps=7),
    )
    with pytest.raises(UserError, match=r"runs of R\+L2 .* different budgets: 7, 20000"):
        select(folder)


def test_one_seed_is_shown_without_interval_or_rank(folder: Path) -> None:
    board = board_of(folder, TWO_TASKS, METHODS, (0,))
    whole = row(board.frame, ALL_TASKS, "nfw", "score")
    assert whole["mean"] == pytest.approx(0.82, abs=0.03)
    assert pd.isna(whole["low"])
    assert pd.isna(row(board.frame, ALL_TASKS, "nfw", "best rank")["mean"])


def test_pairs_are_each_others_complement(folder: Path) -> None:
    frame = select(folder).improvements.set_index(["method", "other"])["mean"]
    assert frame["nfw", "ddpg-projection"] == 1.0
    assert frame["ddpg-projection", "nfw"] == 0.0


def test_no_results_at_all_still_make_a_table_and_a_figure(folder: Path) -> None:
    board = select(folder, tasks=("H+M",))
    table = leaderboard_table(board, "Described.")
    assert table.views[0].cells.empty
    assert "no method has runs of every task yet" in {text.get_text() for text in draw_leaderboard(board).axes[0].texts}
