"""Work on many items, in processes side by side."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.training.processes import side_by_side
from envs import UserError, make_task

PATHS = ["c", "a", "b"]


def write_process(path: Path) -> int:
    """Leaves the number of its process in a file; refuses a file that is there."""
    make_task("R+L2" if not path.exists() else "R+L3")
    path.write_text(str(os.getpid()))
    return os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_made_comes_in_the_order_of_the_items(tmp_path: Path, jobs: int) -> None:
    paths = [tmp_path / name for name in PATHS]
    assert list(side_by_side(write_process, paths, jobs)) == [int(path.read_text()) for path in paths]
    here = {path.read_text() == str(os.getpid()) for path in paths}
    assert here == {jobs == 1}


def test_the_others_are_made_though_one_fails(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in PATHS]
    paths[0].write_text("here before")
    with pytest.raises(UserError, match=r"unknown task 'R\+L3': did you mean 'R\+L2'"):
        list(side_by_side(write_process, paths, 2))
    assert all(path.exists() for path in paths)
