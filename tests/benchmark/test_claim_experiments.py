"""C5 and C6, which are judged by what the experiments left, and the command with its files."""

from __future__ import annotations

import itertools
from pathlib import Path

import pandas as pd
import pytest

from benchmark.analysis.claims.rule import Claim
from benchmark.publishing.claims import write_claims
from envs.errors import UserError
from tests.benchmark.claim_worlds import (
    METHODS,
    SEEDS,
    TASKS,
    World,
    circle_rows,
    gradient_rows,
    growth_rows,
    reading,
    write_experiment,
    write_experiments,
)
from tests.benchmark.command import acrl, files, workplace

UNTESTABLE = "not testable at this budget"
CURVED, LINEAR = "hmc against rejection on non-convex sets", "psdd against rejection on linear sets"
NAIVE = "psdd against rejection-naive on linear sets"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A profile's folder with everything."""
    folder = World(tasks=TASKS[:2]).write(tmp_path)
    write_experiments(folder)
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A profile's folder without runs or experiments."""
    return World(tasks=()).write(tmp_path)


def judged(folder: Path, id_: str) -> Claim:
    return World(tasks=()).judge(folder)[id_]


# --- C5 ---------------------------------------------------------------------------------------------------------------


def test_missing_experiments_are_named_with_the_command_that_makes_them(bare: Path) -> None:
    assert (judged(bare, "C5").verdict, judged(bare, "C6").verdict) == (UNTESTABLE, UNTESTABLE)
    for name in ("e2", "n2"):
        assert f"run `acrl experiment {name} -p paper`" in judged(bare, "C5").reason
    assert judged(bare, "C6").reason == "open: no c6.csv: run `acrl experiment c6 -p paper`"


def test_half_of_the_samplers_is_partly(bare: Path) -> None:
    write_experiment(bare, "e2", circle_rows(900.0))
    write_experiment(bare, "n2", growth_rows(50_000.0))
    claim = judged(bare, "C5")
    assert (reading(claim, CURVED).verdict, reading(claim, LINEAR).verdict) == ("not reproduced", "reproduced")
    assert claim.verdict == "partly"
    assert {finding.task for finding in reading(claim, CURVED).findings} == {"R+2D", "R+Ring"}
    assert [finding.task for finding in reading(claim, "hmc against rejection on convex sets").findings] == ["R+L2"]


@pytest.mark.parametrize(
    ("hmc", "ring", "expected"), [(20_000.0, 500.0, "partly"), (10_500.0, None, UNTESTABLE), (None, None, UNTESTABLE)]
)
def test_hmc_is_judged_set_by_set(bare: Path, hmc: float | None, ring: float | None, expected: str) -> None:
    rows = circle_rows(hmc or 1.0, ring)
    write_experiment(bare, "e2", rows if hmc else [row for row in rows if row["sampler"] == "rejection"])
    assert reading(judged(bare, "C5"), CURVED).verdict == expected


def test_hmc_that_has_not_settled_supports_nothing(bare: Path) -> None:
    write_experiment(bare, "e2", circle_rows(50_000.0, rhat=1.2))
    found = reading(judged(bare, "C5"), CURVED)
    assert found.verdict == UNTESTABLE
    assert {finding.why for finding in found.findings} == {"R-hat is too large"}


@pytest.mark.parametrize(
    ("times", "width", "expected"),
    [(41.0, 0.0, "reproduced"), (39.0, 0.0, UNTESTABLE), (2.4, 0.0, "not reproduced"), (12.0, 0.05, "reproduced")],
)
def test_a_rate_measured_once_is_right_within_a_factor_of_two(
    bare: Path, times: float, width: float, expected: str
) -> None:
    write_experiment(bare, "n2", growth_rows(100.0 * times, width))
    assert reading(judged(bare, "C5"), LINEAR).verdict == expected


def test_independent_samplers_need_no_effective_number(bare: Path) -> None:
    rows = growth_rows(50_000.0)
    renamed = [row | {"quantity": "samples_per_second"} for row in rows]
    write_experiment(bare, "n2", renamed)
    claim = judged(bare, "C5")
    assert reading(claim, LINEAR).verdict == "reproduced"
    (dependent,) = reading(claim, "hmc against rejection on growing convex sets").findings
    assert dependent.outcome == "open"


def test_which_rejection_is_meant_is_a_reading(bare: Path) -> None:
    write_experiment(bare, "n2", growth_rows(500.0, naive=1.0))
    claim = judged(bare, "C5")
    assert (reading(claim, LINEAR).verdict, reading(claim, NAIVE).verdict) == (UNTESTABLE, "reproduced")
    assert claim.verdict == "partly"


# --- C6 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flow", "layer", "expected"),
    [
        ((0.0,), (0.4, 0.3, 0.5), "reproduced"),
        ((0.0,), (1.0,), "reproduced"),
        ((0.0,), (0.0,), UNTESTABLE),
        ((0.0,), (0.1, 0.0, 0.3), UNTESTABLE),
        ((0.01, 0.0, 0.03), (0.4, 0.3, 0.5), UNTESTABLE),
        ((0.05, 0.02, 0.08), (0.4, 0.3, 0.5), "not reproduced"),
        ((0.5,), (0.4, 0.3, 0.5), "not reproduced"),
    ],
)
def test_vanishing_gradients(bare: Path, flow: tuple[float, ...], layer: tuple[float, ...], expected: str) -> None:
    write_experiment(bare, "c6", gradient_rows(flow, layer))
    assert judged(bare, "C6").verdict == expected


def test_one_task_or_one_seed_decides_nothing_of_gradients(bare: Path) -> None:
    rows = gradient_rows((0.0,), (0.4, 0.3, 0.5))
    write_experiment(bare, "c6", [row for row in rows if row["task"] == "R+L2"])
    assert "measured on one task" in judged(bare, "C6").reason
    write_experiment(bare, "c6", [row | {"n": 1} for row in rows])
    assert "fewer than two seeds" in judged(bare, "C6").reason
    write_experiment(bare, "c6", [row for row in rows if row["method"] != "ddpg-projection-layer"])
    assert "not measured for both" in judged(bare, "C6").reason


# --- files ------------------------------------------------------------------------------------------------------------


def write(folder: Path, tasks: tuple[str, ...] = TASKS[:2]) -> dict[str, str]:
    return {path.name: path.read_text() for path in write_claims(folder, "paper", tasks, METHODS, SEEDS)}


def test_two_files_and_nothing_else_and_the_same_bytes_again(written: Path) -> None:
    before = files(written)
    first = write(written)
    assert set(files(written)) - set(before) == set(first) == {"claims.md", "claims.csv"}
    for path in (written / "runs").glob("*/*/*.json"):
        path.touch()
    assert write(written) == first


def test_the_csv_has_every_comparison_with_where_it_is_from(written: Path) -> None:
    write(written)
    table = pd.read_csv(written / "claims.csv")
    assert set(table["claim"]) == {"C1", "C2", "C3", "C4", "C5", "C6"}
    assert not table.duplicated(["claim", "row", "column", "task"]).any()
    one = table.query(
        "claim == 'C3' and task == 'R+L2' and reading == \"ddpg-projection-qp, with the flow's training\""
    )
    row = one.iloc[0]
    assert (row["n"], row["N"], row["budget"], row["published"]) == (3, 3, 195_300, 195_300)
    assert (row["solver"], row["outcome"], row["reading_verdict"]) == ("cvxpy", "supported", "partly")
    assert 2 < row["low"] < row["effect"] < row["high"]


def test_the_page_has_a_verdict_for_every_claim_and_says_how_it_came_about(written: Path) -> None:
    page = write(written)["claims.md"]
    lines = page.splitlines()
    for id_ in ("C1", "C2", "C3", "C4", "C5", "C6"):
        assert sum(line.startswith(f"| {id_} ") for line in lines) == 1
        assert sum(line.startswith(f"## {id_} ") for line in lines) == 1
    assert page.count("### The rule applied") == 6
    assert "(docs/claims.md)" not in page
    assert "](../../docs/claims.md)" in page
    assert "3,000; 3,080; 2,950" in page
    assert "not run (H+M, W+M, BSS-3, BSS-5)" in page


def test_every_row_of_a_table_has_as_many_cells_as_its_header(written: Path) -> None:
    lines = write(written)["claims.md"].splitlines()
    for above, line in itertools.pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.count("|") == line.count("|")


def test_damaged_experiments_are_refused_in_one_line(bare: Path) -> None:
    path = bare / "experiments" / "c6.csv"
    path.parent.mkdir()
    path.write_text("task,value\nR+L2,1\n")
    with pytest.raises(UserError, match=r"c6.csv has no column method, quantity; delete it and run"):
        judged(bare, "C6")
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match=r"c6.csv is no table"):
        judged(bare, "C6")
    path.write_text("")
    with pytest.raises(UserError, match=r"c6.csv is no table"):
        judged(bare, "C6")


def test_the_command(tmp_path: Path) -> None:
    folder = workplace(tmp_path / "place")
    World(profile="quick", budget=0.005, tasks=("R+L2", "HC+O", "BSS-3"), seeds=(0, 1)).write(folder / "results")
    before = set(files(folder))
    done = acrl(folder, "claims", "--profile", "quick")
    assert done.code == 0
    # These results were made by no code at all.
    assert all(" are of other versions or settings than today's: " in line for line in done.err.splitlines())
    made = ["results/quick/claims.md", "results/quick/claims.csv"]
    assert done.out.splitlines() == made
    assert set(files(folder)) - before == set(made)
    table = pd.read_csv(folder / made[1])
    assert set(table.loc[table["claim"] == "C4", "verdict"]) == {UNTESTABLE}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "papers"), "unknown profile 'papers': did you mean 'paper'?"),
        (("-p", "smoke"), "no complete run of profile 'smoke'"),
        (("--task", "R+L2"), "No such option '--task'"),
        (("-p", "quick", "--results", "nowhere"), "no complete run of profile 'quick'"),
    ],
)
def test_errors_of_the_command(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    folder = workplace(tmp_path / "place")
    before = files(folder)
    done = acrl(folder, "claims", *arguments)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert done.err.count("\n") == 1
    assert message in done.err
    assert files(folder) == before
