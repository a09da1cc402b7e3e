"""A sweep on a real Ray of this machine, with two workers that share no folder with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.benchmark.command import Done, acrl, finish, start
from tests.benchmark.training.executors.test_processes import REASONS, with_methods

METHODS = ("flowpg-gauge", "nfw", "raises", "dies", "dies-once")
FAILED = {"raises", "dies"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Good methods, with and without preparation, and bad ones."""
    folder = with_methods(tmp_path_factory.mktemp("ray"))
    chosen = [argument for method in METHODS for argument in ("--method", method)]
    return folder, finish(
        start(folder, "sweep", "-p", "smoke", "--task", "R+L2", "--executor", "ray", "-j", "2", *chosen)
    )


def result(folder: Path, method: str) -> dict[str, Any]:
    return dict(json.loads((folder / f"results/smoke/runs/R+L2/{method}/seed-0.json").read_text()))


def test_what_failed_is_told_and_the_others_are_complete(swept: tuple[Path, Done]) -> None:
    folder, done = swept
    assert done.code == 1
    assert done.err.splitlines()[-1] == "error: 2 of 5 runs failed; the others are complete"
    assert {method for method in METHODS if result(folder, method)["status"] == "failed"} == FAILED
    assert result(folder, "raises")["error"] == REASONS["raises"]
    assert str(result(folder, "dies")["error"]).startswith("the worker died: ")


def test_results_are_those_of_this_machine_alone(swept: tuple[Path, Done], tmp_path: Path) -> None:
    folder, _ = swept
    acrl(with_methods(tmp_path), "run", "R+L2", "flowpg-gauge", "-p", "smoke")
    results = [result(one, "flowpg-gauge") for one in (folder, tmp_path)]
    for one in results:
        del one["seconds"], one["provenance"]
    assert results[0] == results[1]


def test_a_sweep_here_finds_them_done(swept: tuple[Path, Done]) -> None:
    folder, _ = swept
    chosen = ["-p", "smoke", "--task", "R+L2", "--method", "flowpg-gauge", "--method", "nfw"]
    assert acrl(folder, "sweep", *chosen).out == "2 runs of profile smoke: 2 complete, 0 to do\n"
    assert {path.name for path in (folder / "results/smoke/flows").glob("*")} == {"flowpg-gauge"}
