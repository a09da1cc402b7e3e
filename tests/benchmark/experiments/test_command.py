"""``acrl experiment`` at work: what it writes, that it does so again, and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.experiments.writing import EXPERIMENTS
from tests.benchmark.command import acrl, files
from tests.benchmark.experiments.conftest import numbers

KINDS = ("csv", "md", "svg", "png")
UNTIMED = ("e1", "e3", "n1", "n3", "c6")
SMOKE = ("--profile", "smoke")


@pytest.fixture
def copy(place: Path, tmp_path: Path) -> Path:
    """A copy of the results to spoil, without what was made of them."""
    folder = Path(shutil.copytree(place, tmp_path / "copy"))
    shutil.rmtree(folder / "results/smoke/experiments")
    return folder


def refused(folder: Path, *arguments: str) -> str:
    """The one line that these arguments give, after checking that it is one and that nothing was written."""
    before = files(folder)
    done = acrl(folder, "experiment", *arguments)
    assert done.code == 2, done.err
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert files(folder) == before
    return done.err


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_writes_numbers_tables_and_a_figure(place: Path, name: str) -> None:
    made = place / "results/smoke/experiments"
    assert all((made / f"{name}.{kind}").stat().st_size > 500 for kind in KINDS)
    page = (made / f"{name}.md").read_text()
    assert page.startswith(f"# {EXPERIMENTS[name].title}\n\nProfile smoke")
    assert f"]({name}.png)" in page
    assert "nan" not in page
    assert not numbers(place, name).duplicated().any()


def test_the_same_inputs_give_the_same_bytes(place: Path, copy: Path) -> None:
    done = acrl(copy, "experiment", *UNTIMED, *SMOKE)
    assert done.code == 0, done.err
    assert done.out.split() == [f"results/smoke/experiments/{name}.{kind}" for name in UNTIMED for kind in KINDS]
    made, again = (files(folder / "results/smoke/experiments") for folder in (place, copy))
    assert again == {name: content for name, content in made.items() if name.split(".")[0] in UNTIMED}


def test_names_that_there_are_not(copy: Path) -> None:
    assert "unknown experiment 'e4': did you mean" in refused(copy, "e4", *SMOKE)
    assert "unknown profile 'smoek': did you mean 'smoke'?" in refused(copy, "e1", "--profile", "smoek")


def test_a_profile_without_the_task(copy: Path) -> None:
    params = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(params.replace("R+L2", "R+M"))
    for name in ("e1", "e3"):
        assert "profile smoke has no task R+L2" in refused(copy, name, *SMOKE)
    assert "c6 needs one of the tasks R+L2, HC+O" in refused(copy, "c6", *SMOKE)


@pytest.mark.parametrize("name", ["e1", "n1", "n3", "c6"])
def test_without_a_flow(copy: Path, name: str) -> None:
    for task in ("R+L2", "R+O10"):
        (copy / f"results/smoke/flows/flowpg/{task}.safetensors").unlink()
    task = "R+O10" if name == "n3" else "R+L2"
    assert f"no flow of flowpg on {task} in profile smoke: run `acrl flows {task} -p smoke`" in refused(
        copy, name, *SMOKE
    )


def test_a_flow_of_other_settings(copy: Path) -> None:
    params = (copy / "params.yaml").read_text()
    assert "updates: 60" in params
    (copy / "params.yaml").write_text(params.replace("updates: 60", "updates: 61"))
    assert "was made with other versions or settings than today's: run `acrl flows R+L2" in refused(copy, "e1", *SMOKE)


def test_runs_of_other_settings_are_counted(copy: Path) -> None:
    params = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(params.replace("  steps: 150\n", "  steps: 160\n"))
    assert acrl(copy, "experiment", "e3", *SMOKE).code == 0
    page = (copy / "results/smoke/experiments/e3.md").read_text()
    assert "Of its runs, 10 are of other versions or settings than today's (`acrl status -p smoke`)." in page


@pytest.mark.parametrize(("name", "gone"), [("e3", "runs/R+L2"), ("n3", "runs")])
def test_without_runs(copy: Path, name: str, gone: str) -> None:
    shutil.rmtree(copy / "results/smoke" / gone)
    message = refused(copy, name, *SMOKE)
    assert "no complete run" in message
    assert "make runs with `acrl sweep -p smoke`" in message


def test_n3_leaves_out_what_has_no_run_and_says_so(copy: Path) -> None:
    shutil.rmtree(copy / "results/smoke/runs/R+L2/flowpg")
    assert acrl(copy, "experiment", "n3", *SMOKE).code == 0
    page = (copy / "results/smoke/experiments/n3.md").read_text()
    assert "Left out, without a complete run: flowpg on R+L2." in page
    assert "flowpg on R+L2" not in page.partition("Left out")[0]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda _: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_inputs(copy: Path, damage: str) -> None:
    for path in ("flows/flowpg/R+L2.safetensors", "runs/R+L2/flowpg/seed-0.json"):
        whole = copy / "results/smoke" / path
        whole.write_bytes(DAMAGE[damage](whole.read_bytes()))
    assert "R+L2.safetensors is truncated or damaged" in refused(copy, "e1", *SMOKE)
    assert "seed-0.json is truncated" in refused(copy, "e3", *SMOKE)
