"""A small report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmark.analysis.claims import evaluate_claims
from benchmark.publishing.site import write_site
from tests.benchmark import synthetic_results as synthetic
from tests.benchmark.synthetic_claims import gradient_rows, write_experiment
from tests.benchmark.synthetic_results import METHODS, PROFILE, TWO_TASKS, board_of, save


def save_gradients(folder: Path) -> None:
    """The experiment c6, in which the projection layer loses the gradient at every tenth state."""
    write_experiment(folder, "c6", gradient_rows((0.0,), (0.1, 0.05, 0.15)))
    (folder / "experiments" / "c6.md").write_text("# C6\n\nProfile quick; on: Example CPU 3000.\n\n| task |\n")


def write(folder: Path, methods: Sequence[str] = METHODS) -> list[Path]:
    board = board_of(folder, methods=methods)
    return write_site(board, evaluate_claims(board.found, folder), folder)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with anchors, a failed run, timings and an experiment. To be read only."""
    folder = tmp_path_factory.mktemp("report") / PROFILE
    synthetic.fill(folder, TWO_TASKS)
    synthetic.save_anchors(folder)
    save(folder, synthetic.make_failure("HC+O", "nfw", 1), *map(synthetic.make_timing, TWO_TASKS))
    save_gradients(folder)
    return folder


@pytest.fixture(scope="session")
def site(filled: Path) -> Path:
    write(filled)
    return filled / "site"
