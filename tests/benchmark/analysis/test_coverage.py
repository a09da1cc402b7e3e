"""The frame of coverage, and its table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.publishing.tables.writing import coverage_tables
from benchmark.records.reports import CoverageReport, StateCoverage, coverage_path
from benchmark.records.results import TOLERANCE_KEYS
from envs.errors import UserError
from tests.benchmark.synthetic_results import PROFILE, board_of, fill, row_of, save, tables_of


def make_coverage(**changes: object) -> CoverageReport:
    """Of two seeds of one method."""
    found = {
        seed: StateCoverage(within_range=share, near=share / 2, valid=dict.fromkeys(TOLERANCE_KEYS, share))
        for seed, share in (("0", 0.8), ("1", 0.6), ("9", 0.0))
    }
    report = CoverageReport(task="HC+O", profile=PROFILE, draws=100, runs={"nfw": found})
    return report.model_copy(update=changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fill(tmp_path, ("R+L2", "HC+O"), ("nfw", "flowpg"))
    return tmp_path


def test_shares_are_means_over_the_seeds_of_the_selection(folder: Path) -> None:
    save(folder, make_coverage())
    frame = board_of(folder).coverage
    assert set(zip(frame["task"], frame["method"], strict=True)) == {("HC+O", "nfw")}
    means = frame.set_index(["quantity", "tolerance"])["mean"]
    assert means["valid there", 0.1] == pytest.approx(0.7)
    assert means["near"].item() == pytest.approx(0.35)
    assert row_of(tables_of(folder)["coverage.md"], "HC+O", "nfw")[3].startswith("70.00 [")


def test_without_a_measurement_there_is_no_table(folder: Path) -> None:
    assert coverage_tables(board_of(folder)) == []


@pytest.mark.parametrize("changes", [{"task": "H+M"}, {"profile": "paper"}])
def test_a_report_from_elsewhere_is_refused(folder: Path, changes: dict[str, object]) -> None:
    make_coverage(**changes).write(coverage_path(folder, "HC+O"))
    with pytest.raises(UserError, match="holds the coverage of"):
        board_of(folder)
