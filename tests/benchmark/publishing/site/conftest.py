"""A small report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmark.analysis.claims import evaluate_claims
from benchmark.publishing.site import write_site
from tests.benchmark.synthetic_results import (
    METHODS,
    PROFILE,
    TWO_TASKS,
    board_of,
    fill,
    make_failure,
    make_timing,
    save,
    save_anchors,
)


def save_gradients(folder: Path) -> None:
    """The experiment c6, in which the projection layer loses the gradient at every tenth state."""
    rows = [
        f"{task},{method},vanishing share,share,{share},{low},{high},2,2"
        for task in TWO_TASKS
        for method, share, low, high in (("flowpg", 0, "", ""), ("ddpg-projection-layer", 0.1, 0.05, 0.15))
    ]
    (folder / "experiments").mkdir()
    table = "\n".join(["task,method,quantity,unit,value,low,high,n,N", *rows])
    (folder / "experiments" / "c6.csv").write_text(f"{table}\n")
    (folder / "experiments" / "c6.md").write_text("# C6\n\nProfile quick; on: Example CPU 3000.\n\n| task |\n")


def write(folder: Path, methods: Sequence[str] = METHODS) -> list[Path]:
    board = board_of(folder, methods=methods)
    return write_site(board, evaluate_claims(board.found, folder), folder)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with anchors, a failed run, timings and an experiment. To be read only."""
    folder = tmp_path_factory.mktemp("report") / PROFILE
    fill(folder, TWO_TASKS)
    save_anchors(folder)
    save(folder, make_failure("HC+O", "nfw", 1), *map(make_timing, TWO_TASKS))
    save_gradients(folder)
    return folder


@pytest.fixture(scope="session")
def site(filled: Path) -> Path:
    write(filled)
    return filled / "site"
