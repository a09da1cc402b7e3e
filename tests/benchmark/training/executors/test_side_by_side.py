"""Work on many items, in processes side by side."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.training.processes import side_by_side

# What a process is sent must be importable there, which tests are not.
WHO_AM_I = "/proc/self"


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_made_comes_in_the_order_of_the_items(jobs: int) -> None:
    assert list(side_by_side(str.upper, ["c", "a", "b"], jobs)) == ["C", "A", "B"]
    here = {name == str(os.getpid()) for name in side_by_side(os.readlink, [WHO_AM_I] * 3, jobs)}
    assert here == {jobs == 1}


def test_the_others_are_made_though_one_fails(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("missing", "a", "b")]
    for path in paths[1:]:
        path.touch()
    with pytest.raises(FileNotFoundError, match="missing"):
        list(side_by_side(os.remove, paths, 2))
    assert not any(path.exists() for path in paths)
