"""What README.md says was found: of today's results, and written where its markers are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.analysis.claims import evaluate_claims
from benchmark.analysis.leaderboard import read_leaderboard
from benchmark.publishing.findings import findings, markers, update_readme
from benchmark.records.config import load_params
from benchmarks.set_picture import PICTURE, draw
from envs.errors import UserError
from tests.benchmark.command import ROOT
from tests.benchmark.synthetic_results import PROFILE, board_of, make_run_with_return, row_of, save

BEGIN, END = markers(PROFILE)


def test_the_readme_says_what_the_record_says() -> None:
    folder = ROOT / "results" / "small"
    board = read_leaderboard(folder, load_params(ROOT / "params.yaml").profile("small"))
    begin, end = markers("small")
    written = (ROOT / "README.md").read_text().partition(begin)[2].partition(end)[0]
    expected = findings(board, evaluate_claims(board.found, folder))
    assert written.strip() == expected.strip(), "stale: run `acrl tables -p small`"


def test_its_picture_is_what_its_script_draws() -> None:
    assert PICTURE.read_text("utf-8") == draw()


def test_findings_go_between_the_markers_of_their_profile_and_nowhere_else(made_up: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(made_up, tmp_path / "results" / PROFILE))
    board = board_of(copied)
    claims = evaluate_claims(board.found, copied)
    readme = tmp_path / "README.md"
    assert update_readme(board, claims, copied) == []
    assert not readme.exists()
    readme.write_text("Mine.\n")
    assert update_readme(board, claims, copied) == []
    readme.write_text(f"Before.\n{BEGIN}\nold\n{END}\nAfter.\n")
    for _ in range(2):
        assert update_readme(board, claims, copied) == [readme]
        assert readme.read_text() == f"Before.\n{BEGIN}\n\n{findings(board, claims)}\n{END}\nAfter.\n"
    readme.write_text(BEGIN)
    with pytest.raises(UserError, match="without"):
        update_readme(board, claims, copied)
    assert readme.read_text() == BEGIN


def test_doing_nothing_is_named_where_no_method_returns_more_and_seeds_that_lack_are_counted(copied: Path) -> None:
    save(copied, *(make_run_with_return("R+L2", "hold", seed, 1e6 + seed) for seed in (0, 1)))
    (copied / "runs" / "R+L2" / "nfw" / "seed-1.json").unlink()
    save(copied, make_run_with_return("R+L2", "nfw", 0, -1e4))
    board = board_of(copied)
    text = findings(board, evaluate_claims(board.found, copied))
    assert "on 1 of 2 tasks" in text
    assert "R+L2 1,000,000" in text
    assert "the intervals do not overlap" in text
    assert row_of(text, "`nfw`")[1].endswith("(1 of 2 seeds)")
