"""A small report."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.publishing.site.pages import write_site
from tests.benchmark.factories import METHODS, PROFILE, SEEDS, fill, make_failure, make_run, make_timing, save

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


def save_gradients(folder: Path) -> None:
    """The experiment c6, in which the projection layer loses the gradient at every tenth state."""
    rows = [
        f"{task},{method},vanishing share,share,{share},{low},{high},2,2"
        for task in TASKS
        for method, share, low, high in (("flowpg", 0, "", ""), ("ddpg-projection-layer", 0.1, 0.05, 0.15))
    ]
    (folder / "experiments").mkdir()
    table = "\n".join(["task,method,quantity,unit,value,low,high,n,N", *rows])
    (folder / "experiments" / "c6.csv").write_text(f"{table}\n")
    (folder / "experiments" / "c6.md").write_text("# C6\n\nProfile quick; on: Example CPU 3000.\n\n| task |\n")


def write(folder: Path) -> list[Path]:
    return write_site(folder, PROFILE, TASKS, METHODS, SEEDS)


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with anchors, a failed run, timings and an experiment. To be read only."""
    folder = tmp_path_factory.mktemp("report") / PROFILE
    fill(folder, TASKS)
    save_anchors(folder)
    save(folder, make_failure("HC+O", "nfw", 1))
    for task in TASKS:
        save(folder, make_timing(task))
    save_gradients(folder)
    return folder


@pytest.fixture(scope="session")
def site(filled: Path) -> Path:
    write(filled)
    return filled / "site"
