"""The verdict on a profile's runs against its reference."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmark.analysis.reproduction import QUANTITIES, Reproduction, compare_with_reference
from benchmark.records.config import Params
from benchmark.records.results import RunResult
from benchmark.records.runs import select
from envs import UserError
from tests.benchmark import synthetic_results as synthetic
from tests.benchmark.command import ROOT, acrl, workplace
from tests.benchmark.synthetic_results import PROFILE, SEEDS, make_failure, make_run, make_run_with_return, save

METHODS = ("flowpg", "nfw")
# The reference has a seed more than the profile.
REFERENCE_SEEDS = (*SEEDS, 2)
FINAL = "final return"
SHARE = "valid share at tolerance 0.001"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Results that are those of the reference, whose returns are 10, 12 and 14."""
    folder = workplace(tmp_path) / "results"
    for method in METHODS:
        for seed in REFERENCE_SEEDS:
            run = make_run_with_return("R+L2", method, seed, 10.0 + 2 * seed)
            save(folder / "reference" / PROFILE, run)
            if seed in SEEDS:
                save(folder / PROFILE, run)
    return folder


def verdicts(results: Path) -> dict[tuple[str, str], str]:
    found = compare_with_reference(results, PROFILE, SEEDS)
    assert found.counts == Counter(cell.verdict for cell in found.cells)
    return {(cell.method, cell.quantity): cell.verdict for cell in found.cells}


@pytest.mark.parametrize(
    ("final", "verdict"),
    [
        (10.0, "equal"),
        (10.000000001, "within"),
        # Student's t at 99% with two degrees of freedom, 9.925, times a deviation of 2, times the root of 4 / 3.
        (12 + 22.9, "within"),
        (12 - 22.9, "within"),
        (12 + 23.0, "outside"),
        (12 - 23.0, "outside"),
    ],
)
def test_a_return_is_compared_with_the_spread_of_the_seeds(results: Path, final: float, verdict: str) -> None:
    save(results / PROFILE, make_run_with_return("R+L2", "nfw", 0, final))
    found = verdicts(results)
    assert found.pop(("nfw", FINAL)) == verdict
    assert set(found.values()) == {"equal"}


def test_last_digits_are_within_even_where_all_seeds_are_equal(results: Path) -> None:
    for seed in REFERENCE_SEEDS:
        save(results / "reference" / PROFILE, make_run_with_return("R+L2", "nfw", seed, 10.0))
    for seed, final in zip(SEEDS, (10.0, 10.0 + 1e-7), strict=True):
        save(results / PROFILE, make_run_with_return("R+L2", "nfw", seed, final))
    assert verdicts(results)["nfw", FINAL] == "within"
    save(results / PROFILE, make_run_with_return("R+L2", "nfw", 1, 10.01))
    assert verdicts(results)["nfw", FINAL] == "outside"


def test_shares_at_each_tolerance_and_violations_are_compared_apart(results: Path) -> None:
    run = make_run_with_return("R+L2", "flowpg", 0, 10.0)
    assert run.violations is not None
    run.violations.policy.valid_share["0.001"] = 0.0
    run.violations.behaviour.count = 10**9
    save(results / PROFILE, run)
    outside = {cell for cell, verdict in verdicts(results).items() if verdict == "outside"}
    assert outside == {("flowpg", SHARE), ("flowpg", "violations with noise")}


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (None, "seed 1 was not run"),
        (make_failure("R+L2", "nfw", 1), "seed 1 failed: RuntimeError: loss is not | finite"),
        (make_run("R+L2", "nfw", 1, run_key="0" * 64), "seed 1 has other versions or settings than the reference"),
    ],
)
def test_what_cannot_be_compared_is_missing_and_says_why(results: Path, run: RunResult | None, reason: str) -> None:
    path = results / PROFILE / "runs/R+L2/nfw/seed-1.json"
    path.unlink()
    if run is not None:
        save(results / PROFILE, run)
    found = verdicts(results)
    assert {method for (method, _), verdict in found.items() if verdict == "missing"} == {"nfw"}
    done = acrl(results.parent, "reproduced")
    assert done.code == 1
    (line,) = [line for line in done.out.splitlines() if line.startswith("missing: ")]
    assert line.startswith(f"missing: R+L2 nfw: {reason}")


def test_a_reference_that_is_not_there_or_has_too_few_seeds_is_refused(results: Path) -> None:
    with pytest.raises(UserError, match="profile 'small' has no reference"):
        compare_with_reference(results, "small", SEEDS)
    (results / "reference" / PROFILE / "runs/R+L2/nfw/seed-2.json").unlink()
    with pytest.raises(UserError, match=r"the reference of nfw on R\+L2 in .* lacks seeds"):
        compare_with_reference(results, PROFILE, SEEDS)


def test_the_command_answers_in_its_last_line_and_by_its_exit_code(results: Path) -> None:
    done = acrl(results.parent, "reproduced")
    cells = len(METHODS) * len(QUANTITIES)
    told = f"did {PROFILE} reproduce? yes: of {cells} cells {cells} equal to the bit, 0 within the spread of seeds, "
    assert (done.code, done.out) == (0, told + "0 outside of it, 0 missing\n")

    elsewhere = synthetic.make_provenance(processor="Other")
    save(results / PROFILE, make_run_with_return("R+L2", "nfw", 0, -1e6, provenance=elsewhere))
    done = acrl(results.parent, "reproduced")
    named, made, answer = done.out.splitlines()
    assert done.code == 1
    assert named.startswith("outside: R+L2 nfw, final return, seeds 0, 1: -1e+06, 12; in the reference 10, 12, and of ")
    assert made.startswith(
        "made on Example CPU 3000 and Other, the reference on Example CPU 3000: 0 cells may be outside"
    )
    assert answer.startswith(f"did {PROFILE} reproduce? no: of {cells} cells {cells - 1} equal")
    document = acrl(results.parent, "reproduced", "--json")
    assert document.code == 1
    assert Reproduction.model_validate(json.loads(document.out)).counts == {"equal": cells - 1, "outside": 1}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [({}, 0), ({"code_path": "AVX2"}, 0), ({"processor": "Other"}, 1), ({"code_path": "AVX512"}, 1)],
)
def test_on_another_processor_one_cell_in_twenty_may_be_outside(
    results: Path, origin: dict[str, str], allowed: int
) -> None:
    for name in ("hold", "dpro"):
        for seed in REFERENCE_SEEDS:
            known = synthetic.make_provenance(code_path="AVX2")
            run = make_run_with_return("R+L2", name, seed, 10.0 + 2 * seed, provenance=known)
            save(results / "reference" / PROFILE, run)
            save(results / PROFILE, run)
    there = synthetic.make_provenance(**origin)
    save(results / PROFILE, make_run_with_return("R+L2", "nfw", 0, -1e6, provenance=there))
    found = compare_with_reference(results, PROFILE, SEEDS)
    assert (len(found.cells), found.counts["outside"]) == (28, 1)
    assert (found.allowed, found.reproduced) == (allowed, allowed == 1)
    save(results / PROFILE, make_run_with_return("R+L2", "flowpg", 0, -1e6, provenance=there))
    assert not compare_with_reference(results, PROFILE, SEEDS).reproduced


def test_the_committed_reference_is_of_today(params: Params) -> None:
    folder = ROOT / "results" / "reference"
    found = {path: json.loads(path.read_text()) for path in (folder / "quick" / "runs").glob("*/*/*.json")}
    seeds = sorted({run["seed"] for run in found.values()})
    assert set(params.profile("quick").seeds) < set(seeds)
    wanted = {run.path(folder): run.key(params) for run in select(params, "quick", seeds=seeds)}
    assert {path: run["run_key"] for path, run in found.items()} == wanted
    assert {(run["status"], run["provenance"]["dirty"]) for run in found.values()} == {("complete", False)}
