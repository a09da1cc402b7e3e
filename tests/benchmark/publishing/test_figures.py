from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from benchmark.publishing import figures
from benchmark.publishing.figures import FIGURES, draw_leaderboard, draw_learning, draw_time
from benchmark.publishing.figures.styles import style_of
from tests.benchmark import synthetic_results as synthetic
from tests.benchmark.synthetic_results import METHODS, PROFILE, SEEDS, TASKS, board_of, make_run, save

DRAW = (draw_learning, figures.draw_violations, draw_time)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / PROFILE
    synthetic.fill(folder)
    save(folder, synthetic.make_failure("HC+O", "nfw", 1))
    return folder


def lines_by_colour(figure: Figure, panel: int) -> dict[object, int]:
    return Counter(line.get_color() for line in figure.axes[panel].lines)


def test_figures_state_profile_seeds_budget_and_what_is_missing(folder: Path) -> None:
    for draw in DRAW:
        figure = draw(board_of(folder, ("R+L2", "HC+O", "R+T")))
        assert "profile quick, seeds 0, 1" in figure.get_suptitle()
        titles = [axes.get_title() for axes in figure.axes]
        assert titles == ["R+L2: 20,000 steps", "HC+O: 20,000 steps (9 of 10 runs)"]


def test_single_seeds_and_their_mean_are_drawn_and_the_legend_names_methods_with_runs_alone(folder: Path) -> None:
    figure = draw_learning(board_of(folder, methods=(*METHODS, "dpro")))
    counts = lines_by_colour(figure, 1)
    assert counts == {style_of(method).colour: 2 if method == "nfw" else 3 for method in METHODS}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(METHODS)


def test_a_method_looks_the_same_whichever_others_there_are(folder: Path) -> None:
    alone = draw_learning(board_of(folder, methods=("nfw",)))
    assert set(lines_by_colour(alone, 0)) == {style_of("nfw").colour}
    assert style_of("my-method") == style_of("my-method")
    assert len({style_of(method).colour for method in METHODS}) == len(METHODS)
    assert len({style_of(method).marker for method in METHODS}) == len(METHODS)


def test_doing_nothing_is_a_level_line_that_the_axis_holds(tmp_path: Path) -> None:
    synthetic.fill(tmp_path, ("R+L2",))
    save(tmp_path, *(synthetic.make_run_with_return("R+L2", "hold", seed, -500.0 - seed) for seed in SEEDS))
    board = board_of(tmp_path, ("R+L2",))
    figure = draw_learning(board)
    panel, colour = figure.axes[0], style_of("hold").colour
    (level,) = [line for line in panel.lines if line.get_color() == colour]
    assert level.get_ydata() == pytest.approx([-500.5, -500.5])
    assert panel.get_ylim()[0] < -500.5
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*METHODS, "hold"]
    assert "hold" not in board.frame["method"].tolist()
    missed = figures.draw_violations(board)
    assert [text.get_text() for text in missed.legends[0].get_texts()] == list(METHODS)


def test_a_wide_band_does_not_widen_the_axes(tmp_path: Path) -> None:
    values = []
    for seed in range(3):
        run = make_run("R+L2", "nfw", seed)
        assert run.returns is not None
        for evaluation in run.returns.evaluations:
            evaluation.mean += 1000.0 if seed == 2 else 0.0
        values += [evaluation.mean for evaluation in run.returns.evaluations]
        save(tmp_path, run)
    panel = draw_learning(board_of(tmp_path, ("R+L2",), ("nfw",), (0, 1, 2))).axes[0]
    low, high = panel.get_ylim()
    margin = 0.07 * (max(values) - min(values))
    assert min(values) - margin < low < min(values)
    assert max(values) < high < max(values) + margin
    assert len(panel.collections) == 1


def test_a_run_without_violations_is_drawn_at_zero(tmp_path: Path) -> None:
    run = make_run("R+L2", "flowpg", 0)
    run.curves["violations/policy"] = [0.0] * 49 + [None]
    save(tmp_path, run)
    figure = figures.draw_violations(board_of(tmp_path, ("R+L2",), ("flowpg",), (0,)))
    assert figure.axes[0].get_ylim() == (0, figures.LINEAR_UP_TO)


@pytest.mark.parametrize("number", [1, 4, 6])
def test_nothing_is_cut_off_or_overlaps(folder: Path, number: int) -> None:
    board = board_of(folder, TASKS[:number])
    for figure in (draw(board) for draw in (draw_learning, draw_time)):
        figure.draw_without_rendering()
        width, height = figure.bbox.width, figure.bbox.height
        boxes = [artist.get_window_extent() for artist in (*figure.legends, *figure.texts)]
        assert len(boxes) == 2
        boxes += [box for axes in figure.axes if axes.get_visible() and (box := axes.get_tightbbox()) is not None]
        for index, box in enumerate(boxes):
            assert min(box.x0, box.y0, width - box.x1, height - box.y1) >= -1
            for other in boxes[index + 1 :]:
                across = box.x1 <= other.x0 + 1 or other.x1 <= box.x0 + 1
                assert across or box.y1 <= other.y0 + 1 or other.y1 <= box.y0 + 1


def test_a_folder_without_runs_is_drawn(tmp_path: Path) -> None:
    board = board_of(tmp_path, ("R+L2",))
    paths = figures.write_figures(board, tmp_path)
    assert [path.name for path in paths] == [f"{name}.{kind}" for name in FIGURES for kind in ("svg", "png")]
    assert paths[0].read_bytes().startswith(b"<?xml")
    assert paths[1].read_bytes().startswith(b"\x89PNG")
    assert draw_leaderboard(board).axes[0].texts[0].get_text() == "no task has scores"


def test_bars_of_different_machines_are_said_not_to_compare(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / PROFILE))
    save(other, make_run("HC+O", "flowpg", 0, provenance=synthetic.make_provenance(machine="1" * 12)))
    titles = [panel.get_title() for panel in draw_time(board_of(other)).axes]
    assert ["machines may differ: times do not compare" in title for title in titles[:2]] == [False, True]
