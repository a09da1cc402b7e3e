"""``acrl experiment`` at work: what it writes, that it does so again, and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmark.experiments import EXPERIMENTS, find_experiment
from tests.benchmark.command import acrl, files, refused
from tests.benchmark.experiments.conftest import numbers

KINDS = ("csv", "md", "svg", "png")
UNTIMED = ("e1", "e3", "n1", "n3", "c6", "x1")
SMOKE = ("--profile", "smoke")


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    """A copy of the results to spoil, without what was made of them."""
    folder = Path(shutil.copytree(place, tmp_path / "copy"))
    shutil.rmtree(folder / "results/smoke/experiments")
    return folder


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_writes_numbers_tables_and_a_figure(place: Path, name: str) -> None:
    made = place / "results/smoke/experiments"
    assert all((made / f"{name}.{kind}").stat().st_size > 500 for kind in KINDS)
    page = (made / f"{name}.md").read_text()
    title, caption = page.split("\n\n")[:2]
    assert title == f"# {find_experiment(name).title}"
    assert "profile smoke (too short to rank methods by)" in caption
    assert f"]({name}.png)" in page
    assert "nan" not in page
    assert not numbers(place, name).duplicated().any()


def test_the_same_inputs_give_the_same_bytes(place: Path, copy: Path) -> None:
    done = acrl(copy, "experiment", *UNTIMED, *SMOKE)
    assert done.code == 0, done.err
    assert done.out.split() == [f"results/smoke/experiments/{name}.{kind}" for name in UNTIMED for kind in KINDS]
    made, again = (files(folder / "results/smoke/experiments") for folder in (place, copy))
    assert again == {name: content for name, content in made.items() if name.split(".")[0] in UNTIMED}


def without(path: str, folder: Path) -> None:
    """Remove a folder or file of the results."""
    gone = folder / "results/smoke" / path
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()


def cut(path: str, share: float, folder: Path) -> None:
    """Leave the first part of a file of the results."""
    content = (folder / "results/smoke" / path).read_bytes()
    (folder / "results/smoke" / path).write_bytes(content[: int(share * len(content))])


def asking(old: str, new: str, folder: Path) -> None:
    """Change the settings."""
    params = (folder / "params.yaml").read_text()
    assert old in params
    (folder / "params.yaml").write_text(params.replace(old, new))


NO_FLOW = "flows/flowpg/{0}.safetensors is missing: run `acrl flows {0} -p smoke`"
OTHER_TASK = partial(asking, "- R+L2", "- R+M")
CIRCLE, OCTAGON = "flows/flowpg/R+L2.safetensors", "flows/flowpg/R+O10.safetensors"


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("e4", OTHER_TASK, "unknown experiment 'e4': valid"),
        ("e1", OTHER_TASK, "profile smoke has no task R+L2"),
        ("e3", OTHER_TASK, "profile smoke has no task R+L2"),
        *((name, OTHER_TASK, f"{name} needs one of the tasks R+L2, HC+O") for name in ("c6", "x1")),
        *((name, partial(without, CIRCLE), NO_FLOW.format("R+L2")) for name in ("e1", "n1", "c6")),
        ("n3", partial(without, OCTAGON), NO_FLOW.format("R+O10")),
        (
            "e1",
            partial(asking, "updates: 60", "updates: 61"),
            "was made with other settings or versions: run",
        ),
        *((name, partial(without, "runs"), "make runs with `acrl sweep -p smoke`") for name in ("e3", "n3")),
        ("e3", partial(without, "runs/R+L2"), "no complete run of R+L2 in profile smoke"),
        *(("e1", partial(cut, CIRCLE, share), "R+L2.safetensors is truncated or damaged") for share in (0, 0.5)),
    ],
)
def test_what_is_missing_or_spoilt_is_said_in_one_line_and_nothing_written(
    copy: Path, name: str, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(copy)
    assert message in refused(copy, "experiment", name, *SMOKE)


def test_runs_of_other_settings_are_counted_and_missing_ones_named(copy: Path) -> None:
    asking("  steps: 150\n", "  steps: 160\n", copy)
    without("runs/R+L2/flowpg", copy)
    assert acrl(copy, "experiment", "e3", "n3", *SMOKE).code == 0
    circle, drift = ((copy / f"results/smoke/experiments/{name}.md").read_text() for name in ("e3", "n3"))
    assert "9 of these runs are stale: see acrl status -p smoke." in circle
    assert "Left out, without a complete run: flowpg on R+L2." in drift
    assert "flowpg on R+L2" not in drift.partition("Left out")[0]
