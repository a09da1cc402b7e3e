"""The anchors of the scores as they are published: what they are of, and how wide they are."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from benchmark.analysis.leaderboard import scale
from benchmark.publishing.tables.writing import write_tables
from benchmark.records.selection import read_selection
from tests.benchmark.factories import METHODS, PROFILE, SEEDS, STEPS, fill, make_run, save
from tests.benchmark.written import TASKS


def save_anchor(folder: Path, task: str, method: str, returns: tuple[float, ...], **changes: object) -> None:
    for seed, value in enumerate(returns):
        run = make_run(task, method, seed, **changes)
        assert run.returns is not None
        final = run.returns.final.model_copy(update={"mean": value, "episodes": [value]})
        save(folder, run.model_copy(update={"returns": run.returns.model_copy(update={"final": final})}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Results whose anchors are whole on one task, and of one seed on one side alone on the other."""
    fill(tmp_path, TASKS)
    save_anchor(tmp_path, "R+L2", "random-feasible", (-60.0, -50.0))
    save_anchor(tmp_path, "R+N", "ddpg-projection", (-10.0, -6.0))
    save_anchor(tmp_path, "HC+N", "ddpg-projection", (4000.0,))
    return tmp_path


def written(folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    paths = write_tables(folder, PROFILE, TASKS, METHODS, SEEDS)
    frame = pd.read_csv(folder / "tables/anchors.csv", dtype={"score": str})
    return frame, {path.name: path.read_text() for path in paths}


def test_means_are_those_that_scores_are_made_with(folder: Path) -> None:
    frame, _ = written(folder)
    returns = frame[frame["quantity"] == "final return"].set_index(["task", "score"])
    ends = scale(read_selection(folder, PROFILE, TASKS, METHODS, SEEDS), "R+L2")
    assert (returns.loc[("R+L2", "0"), "mean"], returns.loc[("R+L2", "1"), "mean"]) == ends == (-55.0, -8.0)
    low, high = stats.t.interval(0.95, 1, loc=-55.0, scale=5.0)
    assert returns.loc[("R+L2", "0"), ["low", "high"]].tolist() == pytest.approx([low, high])
    facts = ["measured on", "method", "n", "N", "steps", "seeds"]
    assert returns.loc[("R+L2", "1"), facts].tolist() == ["R+N", "ddpg-projection", 2, 2, STEPS, "0 1"]
    assert returns.loc[("R+L2", "0"), "commits"] == "0123456789ab"


def test_widths_are_on_the_scale_of_the_task(folder: Path) -> None:
    frame, _ = written(folder)
    widths = frame[frame["quantity"] == "half width"].set_index(["task", "score"])["mean"]
    quantile = stats.t.ppf(0.975, 1)
    assert widths["R+L2", "0"] == pytest.approx(quantile * 5.0 / 47.0)
    assert widths["R+L2", "1"] == pytest.approx(quantile * 2.0 / 47.0)
    assert widths["HC+O"].isna().all()


def test_what_is_missing_is_said(folder: Path) -> None:
    frame, texts = written(folder)
    single = frame[(frame["task"] == "HC+O") & (frame["quantity"] == "final return")].set_index("score")
    assert single["n"].tolist() == [0, 1]
    assert single.loc["1", "interval"] == "none: one seed"
    assert single["low"].isna().all()
    rows = [line.split("|")[1:3] for line in texts["anchors.md"].splitlines() if line.startswith(("| R", "| H"))]
    assert [[cell.strip() for cell in row] for row in rows] == [["R+L2", "0"], ["R+L2", "1"], ["HC+O", "1"]]


def test_the_page_has_them_and_no_method_moves_them(folder: Path) -> None:
    frame, texts = written(folder)
    assert "## Anchors of the scores" in texts["README.md"]
    assert "conditional on these means" in texts["README.md"]
    for seed in SEEDS:
        (folder / f"runs/R+L2/nfw/seed-{seed}.json").unlink()
    pd.testing.assert_frame_equal(written(folder)[0], frame)


def test_without_anchors_the_table_is_empty(tmp_path: Path) -> None:
    fill(tmp_path, TASKS)
    frame, texts = written(tmp_path)
    assert (frame["n"] == 0).all()
    assert not any(line.startswith(("| R", "| H")) for line in texts["anchors.md"].splitlines())
