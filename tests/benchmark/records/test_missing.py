"""What commands say of a profile without runs, as a fresh clone has it: which profiles have some."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.records.runs import profiles_with_runs
from tests.benchmark.command import acrl, files, workplace
from tests.benchmark.synthetic_results import make_run, save

WORDS = "no complete run of profile 'quick' in results/quick: make runs with `acrl sweep -p quick`"
CHOOSE = ", or choose a profile that has some: -p small"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Runs of one profile, and tables and claims of another whose runs are not there."""
    workplace(tmp_path)
    save(tmp_path / "results/small", make_run("R+L2", "nfw", 0, profile="small"))
    made = tmp_path / "results/quick/tables/returns.md"
    made.parent.mkdir(parents=True)
    made.write_text("made from runs that are not in git\n")
    return tmp_path


@pytest.mark.parametrize("command", ["tables", "report", "track"])
def test_nothing_is_made_from_no_runs(folder: Path, command: str) -> None:
    before = files(folder)
    done = acrl(folder, command)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: {WORDS}{CHOOSE}\n"
    assert files(folder) == before


def test_compare_names_profiles_that_have_runs_of_the_method(folder: Path) -> None:
    done = acrl(folder, "compare", "nfw", "flowpg")
    assert done.code == 2
    words = "no complete run of nfw (results/quick/runs) in profile 'quick': make runs with `acrl sweep -p quick`"
    assert done.err == f"error: {words}{CHOOSE}\n"
    done = acrl(folder, "compare", "flowpg", "nfw")
    assert done.err == f"error: {words.replace('nfw', 'flowpg')}\n"


def test_status_lists_what_is_missing_and_warns(folder: Path) -> None:
    done = acrl(folder, "status")
    assert done.code == 0
    assert done.err == f"warning: {WORDS}{CHOOSE}\n"
    assert done.out.splitlines()[-1] == "profile quick: 48 missing"


def test_without_any_runs_there_is_nothing_to_choose(tmp_path: Path) -> None:
    workplace(tmp_path)
    assert profiles_with_runs(tmp_path / "results") == []
    assert acrl(tmp_path, "tables").err == f"error: {WORDS}\n"
    assert acrl(tmp_path, "status").err == ""
