from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest

from benchmark.analysis.leaderboard import (
    ALL_TASKS,
    improvements,
    leaderboard,
    rank_ranges,
    ranked_methods,
    scale,
    scores,
)
from benchmark.analysis.statistics import Estimate
from benchmark.publishing.figures.leaderboard import draw_leaderboard
from benchmark.publishing.tables.leaderboard import leaderboard_table
from benchmark.publishing.tables.rendering import DASH
from benchmark.records.runs import unconstrained_task
from benchmark.records.selection import Selection, read_selection
from envs import list_tasks, make_task
from envs.errors import UserError
from tests.benchmark.factories import PROFILE, alter, make_run, save

TASKS = ("R+L2", "HC+O")
METHODS = ("ddpg-projection", "nfw")
SEEDS = (0, 1, 2)
ENDS = {"R+L2": (-60.0, -10.0), "HC+O": (-300.0, 4700.0)}


def save_return(folder: Path, task: str, method: str, seed: int, value: float) -> Path:
    run = make_run(task, method, seed)
    assert run.returns is not None
    final = run.returns.final.model_copy(update={"mean": value, "episodes": [value]})
    return save(folder, run.model_copy(update={"returns": run.returns.model_copy(update={"final": final})}))


def save_score(folder: Path, task: str, method: str, seed: int, score: float) -> Path:
    low, high = ENDS[task]
    return save_return(folder, task, method, seed, low + score * (high - low))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / PROFILE
    for task, free in (("R+L2", "R+N"), ("HC+O", "HC+N")):
        for seed in SEEDS:
            save_return(folder, task, "random-feasible", seed, ENDS[task][0] + seed - 1)
            save_return(folder, free, "ddpg-projection", seed, ENDS[task][1] + seed - 1)
            save_score(folder, task, "ddpg-projection", seed, 0.5 + 0.01 * seed)
            save_score(folder, task, "nfw", seed, 0.8 + 0.02 * seed)
    return folder


def select(folder: Path, methods: tuple[str, ...] = METHODS, tasks: tuple[str, ...] = TASKS) -> Selection:
    return read_selection(folder, PROFILE, tasks, methods, SEEDS)


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
    found = select(folder)
    assert scale(found, "R+L2") == pytest.approx(ENDS["R+L2"])
    assert scores(found, "HC+O", "nfw") == pytest.approx([0.8, 0.82, 0.84])
    whole = row(leaderboard(found), ALL_TASKS, "nfw", "score")
    assert whole["mean"] == pytest.approx(0.82)
    assert (whole["n"], whole["N"]) == (6, 6)
    assert whole["low"] < 0.82 < whole["high"]


def test_a_new_method_moves_nobody_else(folder: Path) -> None:
    before = leaderboard(select(folder))
    for task in TASKS:
        for seed in SEEDS:
            save_score(folder, task, "flowpg", seed, 3.0 + seed)
    after = leaderboard(select(folder, (*METHODS, "flowpg")))
    ranks = ("best rank", "worst rank")
    kept = after[(after["method"] != "flowpg") & ~after["quantity"].isin(ranks)].reset_index(drop=True)
    expected = before[~before["quantity"].isin(ranks)].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, expected)
    assert row(after, ALL_TASKS, "flowpg", "best rank")["mean"] == 1
    assert row(after, ALL_TASKS, "nfw", "best rank")["mean"] == 2


def test_overlapping_intervals_are_ties(folder: Path) -> None:
    for task in TASKS:
        for seed in SEEDS:
            save_score(folder, task, "flowpg", seed, 0.8 + 0.02 * (2 - seed))
    frame = leaderboard(select(folder, (*METHODS, "flowpg")))
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
    for seed in SEEDS:
        save_score(folder, "R+L2", "flowpg", seed, 0.9)
    found = select(folder, (*METHODS, "flowpg"))
    assert ranked_methods(found) == list(METHODS)
    table = leaderboard_table(found, "Described.")
    assert any("lack runs of some of these tasks: flowpg." in note for note in table.notes)
    assert row(table.frame, "R+L2", "flowpg", "score")["n"] == 3


def test_a_missing_run_is_counted_and_does_not_hide_the_others(folder: Path) -> None:
    (folder / "runs" / "HC+O" / "nfw" / "seed-1.json").unlink()
    whole = row(leaderboard(select(folder)), ALL_TASKS, "nfw", "score")
    assert (whole["n"], whole["N"]) == (5, 6)
    assert pd.notna(whole["low"])


def test_a_task_without_anchors_has_no_scores_and_says_why(folder: Path) -> None:
    for seed in SEEDS:
        (folder / "runs" / "R+N" / "ddpg-projection" / f"seed-{seed}.json").unlink()
    found = select(folder)
    assert scale(found, "R+L2") == "no complete unconstrained run to measure returns by"
    assert scores(found, "R+L2", "nfw") == []
    measured = leaderboard_table(found, "").views[-1].cells.set_index("task")
    assert measured["no scores, since"]["R+L2"] == scale(found, "R+L2")
    assert (measured["score 1"]["R+L2"], measured["runs of score 1"]["R+L2"]) == (DASH, "0/3")
    assert measured["no scores, since"]["HC+O"] == ""
    frame = leaderboard(found)
    assert row(frame, ALL_TASKS, "nfw", "score")["N"] == len(SEEDS)


def test_the_returns_that_scores_are_measured_by_are_given_once(folder: Path) -> None:
    table = leaderboard_table(select(folder), "")
    measured = table.views[-1].cells
    assert list(measured) == ["task", "score 0", "runs of score 0", "score 1", "runs of score 1"]
    assert measured["score 0"][0].startswith("-60.0 [")
    assert not any("score 0" in note for note in table.notes)


def test_the_figure_names_the_methods_in_a_legend_that_fits(folder: Path) -> None:
    names = (*METHODS, "ddpg-projection-qp", "ddpg-penalty", "flowpg-spline", "flowpg-gauge", "sac-projection")
    for task in TASKS:
        for seed in SEEDS:
            for method in names[len(METHODS) :]:
                save_score(folder, task, method, seed, 0.7 + 0.01 * seed)
    figure = draw_leaderboard(select(folder, (*names, "td3-projection")))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == set(names)
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    assert 0 <= box.y0 < box.y1 <= min(panel.get_tightbbox().y0 for panel in figure.axes)


def test_validity_over_all_tasks_counts_tasks_without_scores(folder: Path) -> None:
    for seed in SEEDS:
        (folder / "runs" / "R+N" / "ddpg-projection" / f"seed-{seed}.json").unlink()
    valid = leaderboard(select(folder))[lambda frame: (frame["quantity"] == "valid share") & (frame["tolerance"] == 0)]
    shares = valid.set_index(["task", "method"])
    whole = shares.loc[(ALL_TASKS, "nfw")]
    assert (whole["n"], whole["N"]) == (6, 6)
    assert whole["mean"] == pytest.approx((shares["mean"]["R+L2", "nfw"] + shares["mean"]["HC+O", "nfw"]) / 2)


def test_without_any_score_there_are_still_rows_of_all_tasks(folder: Path) -> None:
    for task in ("R+N", "HC+N"):
        for seed in SEEDS:
            (folder / "runs" / task / "ddpg-projection" / f"seed-{seed}.json").unlink()
    frame = leaderboard(select(folder))
    assert pd.isna(row(frame, ALL_TASKS, "nfw", "score")["mean"])
    whole = frame[(frame["task"] == ALL_TASKS) & (frame["quantity"] == "valid share")]
    assert set(whole["method"]) == set(METHODS)
    assert whole["mean"].notna().all()


def test_anchors_that_do_not_tell_good_from_bad_give_no_scale(folder: Path) -> None:
    save_return(folder, "R+N", "ddpg-projection", 1, -60.5)
    assert "not clearly better than random" in str(scale(select(folder), "R+L2"))


def test_anchors_of_another_budget_are_refused(folder: Path) -> None:
    alter(
        folder / "runs" / "R+N" / "ddpg-projection" / "seed-0.json",
        lambda run: run["config"].update(steps=7),
    )
    with pytest.raises(UserError, match=r"runs of R\+L2 .* different budgets: 7, 20000"):
        select(folder)


def test_one_seed_is_shown_without_interval_or_rank(folder: Path) -> None:
    found = read_selection(folder, PROFILE, TASKS, METHODS, (0,))
    whole = row(leaderboard(found), ALL_TASKS, "nfw", "score")
    assert whole["mean"] == pytest.approx(0.82, abs=0.03)
    assert pd.isna(whole["low"])
    assert pd.isna(row(leaderboard(found), ALL_TASKS, "nfw", "best rank")["mean"])


def test_one_task_is_ranked_by_its_seeds(folder: Path) -> None:
    frame = leaderboard(select(folder, tasks=("HC+O",)))
    assert row(frame, ALL_TASKS, "nfw", "best rank")["mean"] == 1
    assert pd.isna(row(frame, ALL_TASKS, "nfw", "score, other tasks")["low"])


def test_pairs_are_each_others_complement(folder: Path) -> None:
    frame = improvements(select(folder)).set_index(["method", "other"])["mean"]
    assert frame["nfw", "ddpg-projection"] == 1.0
    assert frame["ddpg-projection", "nfw"] == 0.0


def test_no_results_at_all_still_make_a_table_and_a_figure(folder: Path) -> None:
    found = read_selection(folder, PROFILE, ("H+M",), METHODS, SEEDS)
    table = leaderboard_table(found, "Described.")
    assert table.views[0].cells.empty
    assert "no method has runs of every task yet" in {text.get_text() for text in draw_leaderboard(found).axes[0].texts}
