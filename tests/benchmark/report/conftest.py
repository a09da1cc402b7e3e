"""A small report."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.claims.page import write_claims
from benchmark.report.site import write_site
from tests.benchmark.factories import METHODS, PROFILE, SEEDS, fill, make_failure, make_run, save

TASKS = ("R+L2", "HC+O")
ENDS = {"R+L2": ("R+N", -60.0, -5.0), "HC+O": ("HC+N", -300.0, 4500.0)}


def save_anchors(folder: Path) -> None:
    """Runs that returns are measured by."""
    for task, (free, low, high) in ENDS.items():
        for seed in SEEDS:
            for name, method, value in ((task, "random-feasible", low), (free, "ddpg-projection", high)):
                run = make_run(name, method, seed)
                assert run.returns is not None
                final = run.returns.final.model_copy(update={"mean": value + seed, "episodes": [value + seed]})
                returns = run.returns.model_copy(update={"final": final})
                save(folder, run.model_copy(update={"returns": returns}))


def write(folder: Path) -> list[Path]:
    return write_site(folder, PROFILE, TASKS, METHODS, SEEDS)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with anchors, a failed run, claims and a picture. To be read only."""
    folder = tmp_path_factory.mktemp("report") / PROFILE
    fill(folder, TASKS)
    save_anchors(folder)
    save(folder, make_failure("HC+O", "nfw", 1))
    write_claims(folder, PROFILE, TASKS, METHODS, SEEDS)
    return folder


@pytest.fixture(scope="session")
def site(filled: Path) -> Path:
    write(filled)
    return filled / "site"
