"""The leaderboard of results with known scores."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmark.analysis.claims import evaluate_claims
from benchmark.analysis.contenders import contenders
from benchmark.analysis.leaderboard import ALL_TASKS, Leaderboard, rank_ranges
from benchmark.analysis.statistics import Estimate
from benchmark.publishing.claims import write_claims
from benchmark.publishing.figures import draw_leaderboard
from benchmark.publishing.tables import write_tables
from benchmark.publishing.tables.leaderboard import leaderboard_table
from benchmark.publishing.tables.rendering import DASH
from benchmark.records.runs import unconstrained_task
from benchmark.records.selection import read_selection
from envs import list_tasks, make_task
from envs.errors import UserError
from tests.benchmark import synthetic_results as synthetic
from tests.benchmark.synthetic_results import PROFILE, TWO_TASKS, alter, board_of, make_run_with_return, save

METHODS = ("ddpg-projection", "nfw")
SEEDS = (0, 1, 2)
# Means of the anchors over the three seeds.
ENDS = {task: (low + 1, high + 1) for task, (_, low, high) in synthetic.ENDS.items()}


def save_scores(folder: Path, method: str, scores: tuple[float, ...], tasks: tuple[str, ...] = TWO_TASKS) -> None:
    """Write runs of a method with these scores, one a seed."""
    for task in tasks:
        low, high = ENDS[task]
        for seed, score in enumerate(scores):
            save(folder, make_run_with_return(task, method, seed, low + score * (high - low)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / PROFILE
    synthetic.save_anchors(folder, SEEDS)
    save_scores(folder, "ddpg-projection", (0.5, 0.51, 0.52))
    save_scores(folder, "nfw", (0.8, 0.82, 0.84))
    return folder


def select(folder: Path, methods: tuple[str, ...] = METHODS, seeds: tuple[int, ...] = SEEDS) -> Leaderboard:
    return board_of(folder, TWO_TASKS, methods, seeds)


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
    assert (whole["mean"], whole["n"], whole["N"]) == (pytest.approx(0.82), 6, 6)
    assert whole["low"] < 0.82 < whole["high"]
    better = board.improvements.set_index(["method", "other"])["mean"]
    assert (better["nfw", "ddpg-projection"], better["ddpg-projection", "nfw"]) == (1.0, 0.0)
    # One seed is shown without an interval or a rank. Tasks with unequal numbers of seeds would weigh unequally.
    single = select(folder, seeds=(0,)).frame
    assert row(single, ALL_TASKS, "nfw", "score")["mean"] == pytest.approx(0.82, abs=0.03)
    assert pd.isna(row(single, ALL_TASKS, "nfw", "score")["low"])
    assert pd.isna(row(single, ALL_TASKS, "nfw", "best rank")["mean"])
    (folder / "runs" / "HC+O" / "nfw" / "seed-1.json").unlink()
    board = select(folder)
    assert "nfw" not in board.ranked_methods
    assert pd.isna(row(board.frame, ALL_TASKS, "nfw", "score")["mean"])
    assert row(board.frame, "HC+O", "nfw", "score")["n"] == 2


def test_a_new_method_moves_nobody_else_but_in_rank_and_overlapping_intervals_are_ties(folder: Path) -> None:
    before = select(folder).frame
    save_scores(folder, "flowpg", (0.84, 0.82, 0.8))
    after = select(folder, (*METHODS, "flowpg")).frame
    ranks = ("best rank", "worst rank")
    kept = after[(after["method"] != "flowpg") & ~after["quantity"].isin(ranks)].reset_index(drop=True)
    expected = before[~before["quantity"].isin(ranks)].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, expected)
    found = {m: [row(after, ALL_TASKS, m, rank)["mean"] for rank in ranks] for m in after["method"]}
    assert found == {"nfw": [1, 2], "flowpg": [1, 2], "ddpg-projection": [3, 3]}


def interval(low: float | None, high: float | None) -> Estimate:
    return Estimate(0.0, low, high, 3, "")


def test_what_overlaps_is_a_tie_and_has_every_rank_that_it_could_have() -> None:
    # b overlaps both, though a and c are apart; d has no interval, and so no rank.
    found = rank_ranges({"a": interval(0, 1), "b": interval(0.5, 2.5), "c": interval(2, 3), "d": interval(None, None)})
    assert found == {"a": (2, 3), "b": (1, 3), "c": (1, 2)}
    assert rank_ranges({"a": interval(0, 1), "b": interval(1, 2)}) == {"a": (1, 2), "b": (1, 2)}


def test_a_method_that_lacks_a_task_is_not_ranked_and_the_table_says_so(folder: Path) -> None:
    save_scores(folder, "flowpg", (0.9, 0.9, 0.9), ("R+L2",))
    board = select(folder, (*METHODS, "flowpg"))
    assert board.ranked_methods == list(METHODS)
    table = leaderboard_table(board)
    assert any("Not ranked, for lack of runs on some tasks: flowpg." in note for note in table.notes)
    assert row(table.frame, "R+L2", "flowpg", "score")["n"] == 3


def test_a_method_whose_seeds_are_all_equal_is_not_shown_to_return_less(folder: Path) -> None:
    save_scores(folder, "ddpg-projection", (0.5, 0.5, 0.5))
    save_scores(folder, "nfw", (0.8, 0.8, 0.8))
    assert contenders(select(folder).found, "R+L2", METHODS) == ["nfw", "ddpg-projection"]


def test_a_task_without_anchors_has_no_scores_and_says_why_and_all_tasks_are_the_others(folder: Path) -> None:
    shutil.rmtree(folder / "runs/R+N")
    board = select(folder)
    assert board.scales["R+L2"] == "0 of 3 unconstrained reference runs are complete"
    assert board.scores["R+L2", "nfw"] == []
    measured = leaderboard_table(board).views[-1].cells.set_index("task")
    assert measured["why no scores"].to_dict() == {"R+L2": board.scales["R+L2"], "HC+O": ""}
    assert (measured["score 1"]["R+L2"], measured["runs of score 1"]["R+L2"]) == (DASH, "0/3")
    assert row(board.frame, ALL_TASKS, "nfw", "score")["N"] == len(SEEDS)

    def valid(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame["quantity"] == "valid share") & (frame["tolerance"] == 0)].set_index(["task", "method"])

    shares = valid(board.frame)
    whole = shares.loc[(ALL_TASKS, "nfw")]
    assert (whole["n"], whole["N"]) == (3, 3)
    assert whole["mean"] == pytest.approx(shares["mean"]["HC+O", "nfw"])
    # Without any score all tasks are those with runs.
    shutil.rmtree(folder / "runs/HC+N")
    frame = select(folder).frame
    assert pd.isna(row(frame, ALL_TASKS, "nfw", "score")["mean"])
    shares = valid(frame)
    assert shares["n"][ALL_TASKS].to_list() == [6] * len(METHODS)
    mean = (shares["mean"]["R+L2", "nfw"] + shares["mean"]["HC+O", "nfw"]) / 2
    assert shares["mean"][ALL_TASKS, "nfw"] == pytest.approx(mean)


def test_a_profile_that_is_too_short_says_so_on_every_page_and_has_no_ranks(folder: Path) -> None:
    found = read_selection(folder, PROFILE, TWO_TASKS, METHODS, SEEDS, ranked=False)
    board = Leaderboard(found)
    assert not board.frame["quantity"].isin(["best rank", "worst rank"]).loc[board.frame["mean"].notna()].any()
    pages = {path.name: path.read_text() for path in write_tables(board, folder) if path.suffix == ".md"}
    pages |= {path.name: path.read_text() for path in write_claims(evaluate_claims(found, folder), folder)[:1]}
    assert [name for name, page in pages.items() if "too short to rank methods by" not in page] == []
    assert [name for name, page in pages.items() if re.search(r"\| rank |Rank:", page)] == []
    assert "too short" in str(draw_leaderboard(board).get_suptitle())


def test_anchors_that_do_not_tell_good_from_bad_give_no_scale(folder: Path) -> None:
    save(folder, make_run_with_return("R+N", "ddpg-projection", 1, -60.5))
    assert "not clearly better than random" in str(select(folder).scales["R+L2"])


def test_anchors_of_another_budget_are_refused(folder: Path) -> None:
    alter(folder / "runs/R+N/ddpg-projection/seed-0.json", lambda run: run["config"].update(steps=7))
    with pytest.raises(UserError, match=r"runs of R\+L2 .* different budgets: 7, 20000"):
        select(folder)


def test_the_figure_names_the_methods_in_a_legend_that_fits(folder: Path) -> None:
    names = (*METHODS, "ddpg-projection-qp", "ddpg-penalty", "flowpg-spline", "flowpg-gauge", "sac-projection")
    for method in names[len(METHODS) :]:
        save_scores(folder, method, (0.7, 0.71, 0.72))
    figure = draw_leaderboard(select(folder, (*names, "dpro")))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == set(names)
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert 0 <= box.y0 < box.y1 <= min(panel.get_tightbbox().y0 for panel in figure.axes)
