"""Pictures of tasks: what they show is so, they are small, and the same each time."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline
from PIL import Image
from torch import Tensor

from benchmark.publishing.pictures.action_planes import Slice, choose_slice, grid, visited_states
from benchmark.publishing.pictures.drawing import View, draw_constraint, draw_flow, draw_region, draw_repairs
from benchmark.publishing.pictures.episodes import MOST_FRAMES, NoRendererError, play, random_policy, record_episode
from benchmark.publishing.pictures.writing import kept_flow, write_pictures
from benchmark.records.config import load_params
from envs import list_tasks, make_task
from envs.constraints.base import Constraint
from envs.seeding import make_generator
from tests.benchmark.command import PARAMS

PNG_BYTES, GIF_BYTES = 60_000, 300_000
# One of each family of sets.
SOME = ("R+L2", "R+O10", "R+Ring", "R+2D", "R+T", "H+O+S", "BSS-3", "BSS-5", "An+L2")
NUMBERS = {
    "R+L2": ("0.05",),
    "HC+O": ("20", "obs[11..16]"),
    "H+M": ("10", "obs[8..10]"),
    "W+M": ("10", "obs[11..16]"),
    "BSS-3": ("= 90", "[0, 35]³"),
    "BSS-5": ("= 150", "[0, 35]⁵"),
    "R+N": ("[-1, 1]²",),
    "HC+N": ("[-1, 1]⁶",),
    "H+N": ("[-1, 1]³",),
    "W+N": ("[-1, 1]⁶",),
    "An+N": ("[-1, 1]⁸",),
    "BSS-3+N": ("[0, 35]³",),
    "BSS-5+N": ("[0, 35]⁵",),
    "R+O03": ("0.3", "obs[6..7]"),
    "R+O10": ("≤ 1,", "obs[6..7]"),
    "R+O30": ("≤ 3,", "obs[6..7]"),
    "R+M": ("≤ 1,", "obs[6..7]"),
    "R+T": ("0.05", "obs[1]"),
    "HC+MA": ("≤ 5", "obs[2..7]", "obs[11]", "obs[14]"),
    "H+O+S": ("≤ 10", "≤ 0.1", "obs[8..10]", "obs[2..4]"),
    "W+O+S": ("≤ 10", "≤ 0.1", "obs[11..16]", "obs[2..7]"),
    "An+L2": ("≤ 2", "[-1, 1]⁸"),
    "R+Ring": ("0.02 ≤", "≤ 0.05"),
    "R+2D": ("(a₁ - 0.5)²", "≤ 0.05 or (a₁ + 0.5)²", "≤ 0.02"),
}


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


# --- formulas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task_id", list_tasks())
def test_a_formula_has_the_numbers_of_its_task(task_id: str) -> None:
    constraint = make_task(task_id).constraint
    text = constraint.formula()
    assert "\n" not in text
    assert all(number in text for number in NUMBERS[task_id])
    assert text.count("a ∈") == 1


def test_an_unknown_family_is_described_by_its_docstring() -> None:
    class Elsewhere(Constraint):
        """``a`` lies where another package says.

        More of it.
        """

        def violation(self, action: Tensor, obs: Tensor) -> Tensor:
            raise NotImplementedError

        def cvxpy_constraints(self, x: Any, obs_row: Any) -> list[Any]:
            raise NotImplementedError

    assert Elsewhere([-1.0], [1.0]).formula() == "a lies where another package says."


# --- what is feasible -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task_id", SOME)
def test_the_region_drawn_is_what_the_constraint_contains(task_id: str) -> None:
    view = View.of(make_task(task_id), seed=0)
    axes = Figure().subplots()
    for obs in view.states:
        axes.clear()
        (path,) = draw_region(axes, view, obs[None]).get_paths()
        points = grid(view.lower, view.upper, 61)
        actions = view.plane.actions(points, obs[None])
        feasible = view.constraint.contains(actions, obs.expand(len(actions), -1))
        # The border is drawn as straight lines between the points of a grid: points next to it may be on either side.
        step = float((view.upper - view.lower).max()) / 200
        beside = torch.cat([points + step * torch.tensor(way) for way in ([1, 0], [-1, 0], [0, 1], [0, -1])])
        around = (view.plane.violation(beside, obs[None]) <= 0).reshape(4, -1)
        clear = (around == feasible).all(dim=0)
        assert torch.equal(inside(path, points)[clear], feasible[clear])
        assert clear.double().mean() > 0.85
        assert feasible[clear].any() or len(view.states) == 3


def inside(region: Outline, points: Tensor) -> Tensor:
    """Whether points (N, 2) are in a filled region, whose holes are outlines of their own: (N,)."""
    outlines = [Outline(polygon) for polygon in region.to_polygons()]
    found = torch.zeros(len(points), dtype=torch.bool)
    for outline in outlines:
        found ^= torch.from_numpy(outline.contains_points(points.numpy()))
    return found


@pytest.mark.parametrize("task_id", SOME)
def test_arrows_lead_from_infeasible_actions_to_feasible_ones(task_id: str) -> None:
    view = View.of(make_task(task_id), seed=0)
    axes = Figure().subplots()
    for obs in view.states:
        axes.clear()
        count = draw_repairs(axes, view, obs[None], make_generator(0, task_id))
        assert count == len(axes.texts)
        # The nearest allocations of five zones move all of them.
        assert (count == 0) == (task_id == "BSS-5")
        for arrow in axes.texts:
            start, end = (torch.tensor([point], dtype=torch.float64) for point in (arrow.xyann, arrow.xy))
            assert float(view.plane.violation(start, obs[None])) > 0
            assert float(view.plane.violation(end, obs[None])) <= 1e-9


def test_the_plane_is_the_one_that_is_cut_most() -> None:
    task = make_task("HC+MA")
    assert choose_slice(task.constraint, visited_states(task, 0)) == Slice(task.constraint, (0,), (3,))
    # No two coordinates leave this ball, all together do.
    ant = make_task("An+L2")
    assert choose_slice(ant.constraint, visited_states(ant, 0)) == Slice(ant.constraint, (0, 1, 2, 3), (4, 5, 6, 7))


@pytest.mark.parametrize("task_id", ["R+L2", "R+O10", "BSS-3"])
def test_pictures_of_constraints_are_small_and_the_same_again(task_id: str) -> None:
    task = make_task(task_id)
    first, again, other = draw_constraint(task), draw_constraint(task), draw_constraint(task, seed=1)
    assert first == again
    assert first.content != other.content
    assert len(first.content) < PNG_BYTES
    image = opened(first.content)
    assert image.format == "PNG"
    # Three states side by side where a state enters the constraint.
    assert (image.width > 1.5 * image.height) == bool(task.constraint.context_indices)
    assert task_id in first.alt
    assert task.constraint.formula() in first.alt


# --- flows ------------------------------------------------------------------------------------------------------------


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
    assert opened(first.content).format == "PNG"
    (share,) = re.findall(r": ([0-9.]+)% of them valid", first.alt)
    gauge = kept_flow(params, "smoke", task, "flowpg-gauge", Path("results"))
    assert gauge is not None
    # Valid by construction, as the barely trained one is not.
    assert "100% of them valid" in draw_flow(task, gauge, "flowpg-gauge").alt
    assert float(share) < 100

    assert kept_flow(params, "smoke", task, "flowpg", tmp_path) is None
    changed = (smoke / "params.yaml").read_text().replace("updates: 60", "updates: 61")
    (tmp_path / "params.yaml").write_text(changed)
    assert kept_flow(load_params(tmp_path / "params.yaml"), "smoke", task, "flowpg", Path("results")) is None


# --- episodes ---------------------------------------------------------------------------------------------------------


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
    frames = []
    for number in (0, MOST_FRAMES - 1):
        image.seek(number)
        frames.append(np.asarray(image.convert("RGB")))
    assert (frames[0] != frames[1]).any()
    assert task_id in first.alt


@pytest.mark.parametrize("task_id", ["H+M", "BSS-5"])
def test_what_is_played_is_feasible_and_goes_on_after_a_fall(task_id: str) -> None:
    task = make_task(task_id)
    episode = play(task, random_policy(task, 0), 0, 60)
    assert (len(episode.observations), len(episode.actions)) == (61, 60)
    assert task.constraint.executable(episode.actions, episode.observations[:-1]).all()
    assert (episode.ended > 0) == (task_id == "H+M")


def test_without_a_renderer_episodes_are_left_out_and_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "none-such")
    made = list(write_pictures(load_params(PARAMS), "smoke", "R+L2", tmp_path, episodes=True))
    assert [one.path for one in made] == [tmp_path / "smoke/pictures/R+L2.png", None]
    assert made[1].reason.startswith("no episode: no off-screen renderer; install EGL or OSMesa")
