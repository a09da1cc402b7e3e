"""Pictures of tasks: what they show is so, they are small, and the same each time."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline
from PIL import Image
from torch import Tensor

from benchmark.publishing.pictures import kept_flow, write_pictures
from benchmark.publishing.pictures.action_planes import Slice, choose_slice, grid, visited_states
from benchmark.publishing.pictures.drawing import View, draw_constraint, draw_flow, draw_region, draw_repairs
from benchmark.publishing.pictures.episodes import MOST_FRAMES, NoRendererError, play, record_episode
from benchmark.records.config import Params, load_params
from envs import make_task
from envs.constraints import Allocation
from envs.seeding import make_generator

PNG_BYTES, GIF_BYTES = 60_000, 300_000
# One of each family of sets.
SOME = ("R+O10", "R+Ring", "R+2D", "H+O+S", "BSS-3", "BSS-5", "An+L2", "Portfolio", "HC+R", "HC+O+R")
NUMBERS = {
    "R+L2": ("0.05",),
    "HC+O": ("20", "obs[11..16]"),
    "BSS-5": ("= 150", "[0, 35]⁵"),
    "An+N": ("[-1, 1]⁸",),
    "R+T": ("0.05", "obs[1]"),
    "HC+MA": ("≤ 5", "obs[2..7]", "obs[11]", "obs[14]"),
    "H+O+S": ("≤ 10", "≤ 0.1", "obs[8..10]", "obs[2..4]"),
    "Portfolio": ("= 1", "0.1 ≤ a₁ + a₂ + a₃ ≤ 0.5", "a₆ + a₇ ≤ 0.2"),
    "HC+R": ("≤ 0.2", "obs[17..22]"),
    "HC+O+R": ("≤ 20", "obs[11..16]", "≤ 0.2", "obs[17..22]"),
    "R+Ring": ("0.02 ≤", "≤ 0.05"),
    "R+2D": ("(a₁ - 0.5)²", "≤ 0.05 or (a₁ + 0.5)²", "≤ 0.02"),
}


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


@pytest.mark.parametrize("task_id", NUMBERS)
def test_a_formula_has_the_numbers_of_its_task(task_id: str) -> None:
    constraint = make_task(task_id).constraint
    text = constraint.formula()
    assert "\n" not in text
    assert all(number in text for number in NUMBERS[task_id])
    assert text.count("a ∈") == 1


@pytest.mark.parametrize("task_id", SOME)
def test_the_region_is_what_the_constraint_contains_and_arrows_lead_into_it(task_id: str) -> None:
    view = View.of(make_task(task_id))
    axes = Figure().subplots()
    for obs in view.states:
        axes.clear()
        (path,) = draw_region(axes, view, obs[None]).get_paths()
        points = grid(view.lower, view.upper, 61)
        actions = view.plane.actions(points, obs[None])
        feasible = view.task.constraint.contains(actions, obs.expand(len(actions), -1))
        # The border is drawn as straight lines between the points of a grid: points next to it may be on either side.
        step = float((view.upper - view.lower).max()) / 200
        beside = torch.cat([points + step * torch.tensor(way) for way in ([1, 0], [-1, 0], [0, 1], [0, -1])])
        around = (view.plane.violation(beside, obs[None]) <= 0).reshape(4, -1)
        clear = (around == feasible).all(dim=0)
        assert torch.equal(inside(path, points)[clear], feasible[clear])
        assert clear.double().mean() > 0.85
        assert feasible[clear].any() or len(view.states) == 3

        axes.clear()
        count = draw_repairs(axes, view, obs[None], make_generator(0, task_id))
        assert count == len(axes.texts)
        # The nearest allocations of five zones move all of them, and so do the nearest weights of eight assets.
        assert (count == 0) == (task_id in ("BSS-5", "Portfolio"))
        for arrow in axes.texts:
            start, end = (torch.tensor([point], dtype=torch.float64) for point in (arrow.xyann, arrow.xy))
            assert float(view.plane.violation(start, obs[None])) > 0
            assert float(view.plane.violation(end, obs[None])) <= 1e-9


def inside(region: Outline, points: Tensor) -> Tensor:
    """Whether points (N, 2) are in a filled region, whose holes are outlines of their own: (N,)."""
    outlines = [Outline(polygon) for polygon in region.to_polygons()]
    found = torch.zeros(len(points), dtype=torch.bool)
    for outline in outlines:
        found ^= torch.from_numpy(outline.contains_points(points.numpy()))
    return found


def test_the_plane_is_the_one_that_is_cut_most() -> None:
    task = make_task("HC+MA")
    assert choose_slice(task.constraint, visited_states(task, 0)) == Slice(task.constraint, (0,), (3,))
    # No two coordinates leave this ball, all together do.
    ant = make_task("An+L2")
    assert choose_slice(ant.constraint, visited_states(ant, 0)) == Slice(ant.constraint, (0, 1, 2, 3), (4, 5, 6, 7))


@pytest.mark.parametrize("task_id", ["R+L2", "R+O10"])
def test_pictures_of_constraints_are_small_and_the_same_again(task_id: str) -> None:
    task = make_task(task_id)
    first = draw_constraint(task)
    assert first == draw_constraint(task)
    assert len(first.content) < PNG_BYTES
    image = opened(first.content)
    assert image.format == "PNG"
    # Three states side by side where a state enters the constraint.
    assert (image.width > 1.5 * image.height) == bool(task.constraint.context_indices)
    assert task_id in first.alt
    assert task.constraint.formula() in first.alt


def test_a_trained_flow_is_drawn_and_one_of_other_settings_is_not(
    smoke: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(smoke)
    params, task = load_params(), make_task("R+L2")
    flow = kept_flow(params, "smoke", task, "flowpg", Path("results"))
    assert flow is not None
    first = draw_flow(task, flow, "flowpg")
    assert first == draw_flow(task, flow, "flowpg")
    assert len(first.content) < PNG_BYTES
    (share,) = re.findall(r": ([0-9.]+)% of them valid", first.alt)
    assert 0 <= float(share) < 100
    assert kept_flow(params, "smoke", task, "flowpg", tmp_path) is None
    changed = (smoke / "params.yaml").read_text().replace("updates: 60", "updates: 61")
    (tmp_path / "params.yaml").write_text(changed)
    assert kept_flow(load_params(tmp_path / "params.yaml"), "smoke", task, "flowpg", Path("results")) is None


@pytest.mark.parametrize("task_id", ["BSS-3", pytest.param("HC+O", marks=pytest.mark.slow)])
def test_an_episode_has_its_frames_and_is_small_and_the_same_again(task_id: str) -> None:
    task = make_task(task_id)
    try:
        first = record_episode(task)
    except NoRendererError as error:
        pytest.skip(str(error))
    # That of the other takes ten times as long.
    assert task_id != "BSS-3" or first == record_episode(task)
    assert len(first.content) < GIF_BYTES
    image = opened(first.content)
    assert (image.format, getattr(image, "n_frames", 1)) == ("GIF", MOST_FRAMES)
    start = image.convert("RGB")
    image.seek(MOST_FRAMES - 1)
    assert image.convert("RGB").tobytes() != start.tobytes()
    assert task_id in first.alt


@pytest.mark.parametrize("task_id", ["H+M", "BSS-5"])
def test_what_is_played_is_feasible_and_goes_on_after_a_fall(task_id: str) -> None:
    task = make_task(task_id)
    episode = play(task, 0, 60)
    assert (len(episode.observations), len(episode.actions)) == (61, 60)
    assert task.constraint.executable(episode.actions, episode.observations[:-1]).all()
    assert (episode.ended > 0) == (task_id == "H+M")


def test_what_cannot_be_drawn_is_left_out_and_said_to_be(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "none-such")
    made = list(write_pictures(params, "smoke", "R+L2", tmp_path, episodes=True))
    assert [one.path for one in made] == [tmp_path / "smoke/pictures/R+L2.png", None]
    assert made[1].reason.startswith("no episode: no off-screen renderer; install EGL or OSMesa")
    # A set on a line has no picture, and its episode is asked for.
    line = dataclasses.replace(make_task("R+L2"), constraint=Allocation(0.1, [-1.0, -1.0], [1.0, 1.0]))
    monkeypatch.setattr("benchmark.publishing.pictures.make_task", lambda _: line)
    reasons = [one.reason for one in write_pictures(params, "smoke", "R+L2", tmp_path, episodes=True)]
    assert [reason.partition(":")[0] for reason in reasons] == ["no picture of its constraint", "no episode"]
