"""The verdicts as they are written."""

from __future__ import annotations

import itertools
from pathlib import Path

import pandas as pd
import pytest

from benchmark.publishing.claims import write_claims
from tests.benchmark.synthetic_claims import TASKS, World, write_experiments

IDS = ("C1", "C2", "C3", "C4", "C5", "C6")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Claims of two tasks. To be read only."""
    folder = tmp_path_factory.mktemp("claims")
    write_experiments(folder)
    made = write_claims(World(tasks=TASKS[:2]).evaluate(folder), folder)
    assert [path.name for path in made] == ["claims.md", "claims.csv"]
    return folder


def test_the_csv_has_every_comparison_with_where_it_is_from(written: Path) -> None:
    table = pd.read_csv(written / "claims.csv")
    assert set(table["claim"]) == set(IDS)
    assert not table.duplicated(["claim", "row", "column", "task"]).any()
    with_training = table["reading"] == "ddpg-projection-qp, with the flow's training"
    row = table[with_training & (table["task"] == "R+L2")].iloc[0]
    assert (row["n"], row["N"], row["budget"], row["published"]) == (3, 3, 195_300, 195_300)
    assert (row["solver"], row["outcome"], row["reading_verdict"]) == ("cvxpy", "supported", "partly")
    assert 2 < row["low"] < row["effect"] < row["high"]


def test_the_page_has_a_verdict_for_every_claim_and_says_how_it_came_about(written: Path) -> None:
    page = (written / "claims.md").read_text()
    lines = page.splitlines()
    for id_ in IDS:
        assert sum(line.startswith(f"| {id_} ") for line in lines) == 1
        assert sum(line.startswith(f"## {id_} ") for line in lines) == 1
    assert page.count("### The rule applied") == 6
    assert "](../../docs/claims.md)" in page
    assert "3,000; 3,080; 2,950" in page
    assert "not run (H+M, W+M, BSS-3, BSS-5)" in page
    for above, line in itertools.pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.count("|") == line.count("|")
