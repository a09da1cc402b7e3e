"""C5 and C6, which are judged by what the experiments left, and the command with its files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmark.analysis.claims.rule import Claim
from envs.errors import UserError
from tests.benchmark import synthetic_claims as synthetic
from tests.benchmark.synthetic_claims import UNTESTABLE, World, growth_rows, reading, write_experiment

CURVED, LINEAR = "hmc against rejection on non-convex sets", "psdd against rejection on linear sets"
NAIVE = "psdd against rejection-naive on linear sets"


def claim_of(folder: Path, id_: str) -> Claim:
    return World(tasks=()).claims(folder)[id_]


def test_missing_experiments_are_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    assert (claim_of(tmp_path, "C5").verdict, claim_of(tmp_path, "C6").verdict) == (UNTESTABLE, UNTESTABLE)
    for name in ("e2", "n2"):
        assert f"run `acrl experiment {name} -p paper`" in claim_of(tmp_path, "C5").reason
    assert claim_of(tmp_path, "C6").reason == "open: no c6.csv: run `acrl experiment c6 -p paper`"


def test_half_of_the_samplers_is_partly_and_which_rejection_is_meant_is_a_reading(tmp_path: Path) -> None:
    write_experiment(tmp_path, "e2", synthetic.circle_rows(900.0))
    write_experiment(tmp_path, "n2", growth_rows(500.0, naive=1.0))
    claim = claim_of(tmp_path, "C5")
    found = [reading(claim, name).verdict for name in (CURVED, LINEAR, NAIVE)]
    assert found == ["not reproduced", UNTESTABLE, "reproduced"]
    assert claim.verdict == "partly"
    assert {finding.task for finding in reading(claim, CURVED).findings} == {"R+2D", "R+Ring"}
    assert [finding.task for finding in reading(claim, "hmc against rejection on convex sets").findings] == ["R+L2"]
    sets = [finding.task for finding in reading(claim, LINEAR).findings]
    assert sets == ["allocation (3 dimensions, 0.333% feasible)", "allocation (5 dimensions, 0.2% feasible)"]


@pytest.mark.parametrize(
    ("hmc", "ring", "expected"), [(20_000.0, 500.0, "partly"), (10_500.0, None, UNTESTABLE), (None, None, UNTESTABLE)]
)
def test_hmc_is_judged_set_by_set(tmp_path: Path, hmc: float | None, ring: float | None, expected: str) -> None:
    rows = synthetic.circle_rows(hmc or 1.0, ring)
    write_experiment(tmp_path, "e2", rows if hmc else [row for row in rows if row["sampler"] == "rejection"])
    assert reading(claim_of(tmp_path, "C5"), CURVED).verdict == expected


@pytest.mark.parametrize(("rhat", "why"), [(1.2, "R-hat is too large"), (math.nan, "R-hat is unknown")])
def test_hmc_that_has_not_settled_supports_nothing(tmp_path: Path, rhat: float, why: str) -> None:
    write_experiment(tmp_path, "e2", synthetic.circle_rows(50_000.0, rhat=rhat))
    found = reading(claim_of(tmp_path, "C5"), CURVED)
    assert (found.verdict, {finding.why for finding in found.findings}) == (UNTESTABLE, {why})


@pytest.mark.parametrize(
    ("times", "width", "expected"),
    [(41.0, 0.0, "reproduced"), (39.0, 0.0, UNTESTABLE), (2.4, 0.0, "not reproduced"), (12.0, 0.05, "reproduced")],
)
def test_a_rate_measured_once_is_right_within_a_factor_of_two(
    tmp_path: Path, times: float, width: float, expected: str
) -> None:
    write_experiment(tmp_path, "n2", growth_rows(100.0 * times, width))
    assert reading(claim_of(tmp_path, "C5"), LINEAR).verdict == expected


def test_independent_samplers_need_no_effective_number(tmp_path: Path) -> None:
    rows = growth_rows(50_000.0)
    write_experiment(tmp_path, "n2", [row | {"quantity": "samples_per_second"} for row in rows])
    claim = claim_of(tmp_path, "C5")
    assert reading(claim, LINEAR).verdict == "reproduced"
    (dependent,) = reading(claim, "hmc against rejection on growing convex sets").findings
    assert dependent.outcome == "open"


@pytest.mark.parametrize(
    ("flow", "layer", "expected"),
    [
        ((0.0,), (0.4, 0.3, 0.5), "reproduced"),
        ((0.0,), (1.0,), "reproduced"),
        ((0.005, 0.0, 0.01), (0.4, 0.01, 0.5), "reproduced"),
        # One of both halves of the sentence.
        ((0.0,), (0.0,), "partly"),
        ((0.0,), (0.005, 0.0, 0.009), "partly"),
        ((0.5,), (0.4, 0.3, 0.5), "partly"),
        ((0.05, 0.02, 0.08), (0.0,), "not reproduced"),
        # The interval holds the threshold.
        ((0.01, 0.0, 0.03), (0.1, 0.0, 0.3), UNTESTABLE),
    ],
)
def test_vanishing_gradients(tmp_path: Path, flow: tuple[float, ...], layer: tuple[float, ...], expected: str) -> None:
    write_experiment(tmp_path, "c6", synthetic.gradient_rows(flow, layer))
    assert claim_of(tmp_path, "C6").verdict == expected


def test_one_task_or_one_seed_decides_nothing_of_gradients(tmp_path: Path) -> None:
    rows = synthetic.gradient_rows((0.0,), (0.4, 0.3, 0.5))
    write_experiment(tmp_path, "c6", [row for row in rows if row["task"] == "R+L2"])
    assert "measured on one task" in claim_of(tmp_path, "C6").reason
    write_experiment(tmp_path, "c6", [row | {"n": 1} for row in rows])
    assert "fewer than two seeds" in claim_of(tmp_path, "C6").reason
    write_experiment(tmp_path, "c6", [row for row in rows if row["method"] != "dopt"])
    assert "not measured" in claim_of(tmp_path, "C6").reason


NO_NUMBER = b"sampler,family,dimension,share,constraints,quantity,value\nhmc,half-spaces,6,0.5,x,seconds,1\n"


@pytest.mark.parametrize(
    ("claim", "name", "content", "message"),
    [
        ("C6", "c6", b"task,value\nR+L2,1\n", "has no column method, quantity; delete it and run"),
        ("C6", "c6", b"\xff\xfe\x00", "is not a table"),
        ("C5", "n2", NO_NUMBER, "has a value in column constraints that is not a number"),
    ],
)
def test_damaged_experiments_are_refused_in_one_line(
    tmp_path: Path, claim: str, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / "experiments" / f"{name}.csv"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name}.csv {message}"):
        claim_of(tmp_path, claim)
