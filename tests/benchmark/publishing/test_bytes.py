"""The same results give the same bytes: of tables, figures, claims and the report, in any process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.analysis.claims import evaluate_claims
from benchmark.publishing.claims import write_claims
from benchmark.publishing.figures import write_figures
from benchmark.publishing.metrics import write_metrics
from benchmark.publishing.site import write_site
from benchmark.publishing.tables import write_tables
from tests.benchmark.command import ROOT, files
from tests.benchmark.synthetic_results import PROFILE, board_of


def write_everything(folder: Path) -> None:
    board = board_of(folder)
    claims = evaluate_claims(board.found, folder)
    write_tables(board, folder), write_figures(board, folder)
    write_claims(claims, folder), write_site(board, claims, folder), write_metrics(board, folder)


@pytest.mark.slow
def test_another_process_writes_the_same_bytes_and_nothing_else(made_up: Path, tmp_path: Path) -> None:
    here, there = (Path(shutil.copytree(made_up, tmp_path / name / PROFILE)) for name in ("here", "there"))
    before = files(here)
    write_everything(here)
    program = f"from pathlib import Path; from {__name__} import *; write_everything(Path({str(there)!r}))"
    variables = os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], env=variables, check=True)
    assert files(there) == files(here)
    made = {name.split("/")[0] for name in files(here).keys() - before.keys()}
    assert made == {"tables", "figures", "site", "claims.md", "claims.csv", "metrics.json", "curves.csv"}
