"""Comparisons of runs, methods and revisions, and where MLflow shows them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.analysis.comparison import Compared, Difference, in_words
from benchmark.analysis.statistics import (
    ALL_EQUAL,
    DIFFERENCE,
    ONE_SEED,
    OTHER_MACHINES,
    Estimate,
    difference_interval,
    mean_interval,
)
from benchmark.records.results import RunResult
from tests.benchmark.command import acrl, workplace
from tests.benchmark.synthetic_results import PROFILE, make_failure, make_provenance, make_run, save

values = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=2, max_size=8)
TASKS = ("R+L2", "HC+O")
SEEDS = (0, 1, 2)


def with_returns(run: RunResult, gain: float) -> RunResult:
    """The same run with higher returns."""
    changed = run.model_copy(deep=True)
    assert changed.returns is not None
    for one in (changed.returns.final, changed.returns.best):
        one.mean += gain
    return changed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = workplace(tmp_path / "here")
    for task in TASKS:
        for method in ("flowpg", "nfw"):
            for seed in SEEDS:
                save(folder / "results" / PROFILE, make_run(task, method, seed))
    return folder


def compare(folder: Path, *arguments: str | Path) -> Compared:
    done = acrl(folder, "compare", *arguments, "--json")
    assert done.code == 0, done.err
    return Compared.model_validate_json(done.out)


def one(compared: Compared, task: str, quantity: str, tolerance: float | None = None) -> Difference:
    (found,) = [d for d in compared.differences if (d.task, d.quantity, d.tolerance) == (task, quantity, tolerance)]
    return found


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_two_methods_differ_by_what_their_runs_do(folder: Path) -> None:
    compared = compare(folder, "flowpg", "nfw")
    assert {d.task for d in compared.differences} == set(TASKS)
    runs = {m: [make_run("R+L2", m, seed) for seed in SEEDS] for m in ("flowpg", "nfw")}
    final = {m: [run.returns.final.mean for run in several if run.returns] for m, several in runs.items()}
    found = one(compared, "R+L2", "final return")
    expected = difference_interval(final["nfw"], final["flowpg"])
    assert (found.difference, found.low, found.high) == (expected.mean, expected.low, expected.high)
    assert found.a == pytest.approx(sum(final["flowpg"]) / 3)
    assert (found.n_a, found.n_b, found.interval) == (3, 3, DIFFERENCE)
    # flowpg's violations are a hundredth of nfw's.
    assert one(compared, "R+L2", "violations in training", 0.0).shown == "B higher"
    assert one(compared, "R+L2", "valid share in training", 0.0).shown == "A higher"
    # Three seeds of three times the time.
    assert one(compared, "R+L2", "total").shown == "A higher"


def test_the_table_says_it_in_words(folder: Path) -> None:
    done = acrl(folder, "compare", "flowpg", "nfw", "--task", "R+L2")
    assert (done.code, done.err) == (0, "")
    first, second, _, header, _, *rows = done.out.splitlines()
    assert first == f"A: flowpg (results/{PROFILE}/runs), profile {PROFILE}"
    assert second.startswith("B: nfw ")
    assert header.split() == ["task", "quantity", "A", "B", "B", "-", "A", "95%", "interval", "n", "shown"]
    (violations,) = [row for row in rows if "violations" in row]
    assert violations.endswith("3, 3  B higher")
    assert "HC+O" not in done.out
    # The factories' runs have made-up keys.
    assert "A: 3 runs" not in done.out
    assert "A: 3 of 3 runs are of other versions or settings than today's" in done.out


def test_one_seed_has_no_interval(folder: Path) -> None:
    runs = f"results/{PROFILE}/runs/R+L2"
    compared = compare(folder, f"{runs}/flowpg/seed-0.json", f"{runs}/nfw/seed-0.json")
    for d in compared.differences:
        assert (d.low, d.high, d.interval) == (None, None, ONE_SEED)
        assert d.shown == "no interval: one seed"
    compared = compare(folder, f"{runs}/flowpg/seed-0.json", "nfw")
    assert {d.task for d in compared.differences} == {"R+L2"}
    assert {(d.n_a, d.n_b, d.shown) for d in compared.differences} == {(1, 3, "no interval: one seed")}
    assert "only B has HC+O nfw" in compared.notes


def test_seconds_of_different_machines_are_not_compared(folder: Path) -> None:
    for seed in SEEDS:
        other = make_run("R+L2", "nfw", seed, provenance=make_provenance(processor="Another CPU"))
        save(folder / "results" / PROFILE, other)
    compared = compare(folder, "flowpg", "nfw")
    for quantity in ("total", "total without prepare"):
        found = one(compared, "R+L2", quantity)
        assert (found.a, found.b, found.difference, found.low, found.interval) == (*[None] * 4, OTHER_MACHINES)
        assert found.shown == "not compared: different machines"
        assert one(compared, "HC+O", quantity).difference is not None
    assert one(compared, "R+L2", "final return").low is not None
    (note,) = [note for note in compared.notes if "machines" in note]
    assert note.startswith("R+L2: seconds are of different machines, Another CPU, 1 thread; Example CPU 3000, 1 thread")
    (row,) = [
        row for row in acrl(folder, "compare", "flowpg", "nfw").out.splitlines() if row.startswith("R+L2    total [")
    ]
    assert row.split()[3:7] == ["—", "—", "—", "—"]


def test_nothing_is_said_of_a_preparation_where_there_was_none(folder: Path) -> None:
    names = {(d.task, d.quantity) for d in compare(folder, "flowpg", "nfw").differences}
    assert {("R+L2", "total without prepare"), ("HC+O", "total without prepare")} <= names
    for seed in SEEDS:
        run = make_run("R+L2", "flowpg", seed)
        seconds = run.seconds.model_copy(update={"prepare": 1e-5})
        save(folder / "results" / PROFILE, run.model_copy(update={"seconds": seconds}))
    names = {(d.task, d.quantity) for d in compare(folder, "flowpg", "nfw").differences}
    assert ("R+L2", "total without prepare") not in names
    assert {("R+L2", "total"), ("HC+O", "total without prepare")} <= names


def test_failed_runs_are_left_out_and_said(folder: Path) -> None:
    save(folder / "results" / PROFILE, make_failure("R+L2", "nfw", 2))
    compared = compare(folder, "flowpg", "nfw")
    assert one(compared, "R+L2", "final return").n_b == 2
    assert "B: 1 of 6 runs are not complete and are left out" in compared.notes


def test_different_budgets_do_not_compare(folder: Path) -> None:
    for seed in SEEDS:
        run = make_run("R+L2", "nfw", seed)
        save(folder / "results" / PROFILE, run.model_copy(update={"config": run.config | {"steps": 500}}))
    compared = compare(folder, "flowpg", "nfw")
    assert {d.task for d in compared.differences} == {"HC+O"}
    assert "R+L2: budgets of 20,000 and 500 steps, which do not compare" in compared.notes


@pytest.fixture
def revisions(folder: Path) -> Path:
    """Two commits: at the second one flowpg has returns higher by 1000, and another setting."""
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "first")
    for seed in SEEDS:
        run = with_returns(make_run("R+L2", "flowpg", seed), 1000)
        save(folder / "results" / PROFILE, run.model_copy(update={"config": run.config | {"gamma": 0.5}}))
    git(folder, "commit", "-qam", "second")
    return folder


def test_two_revisions_are_compared_as_they_are_committed(revisions: Path) -> None:
    shutil.rmtree(revisions / "results")
    compared = compare(revisions, "first", "HEAD", "--method", "flowpg")
    found = one(compared, "R+L2", "final return")
    assert found.difference == pytest.approx(1000)
    assert found.shown == "B higher"
    assert one(compared, "HC+O", "final return").difference == 0
    assert compared.a.startswith(f"first ({git(revisions, 'rev-parse', 'first')[:12]})")
    assert "R+L2, flowpg: different settings: gamma" in compared.notes
    assert "3 runs are the same file on both sides: these samples are not independent" in compared.notes


def test_revisions_without_a_choice_compare_every_method_with_itself(revisions: Path) -> None:
    compared = compare(revisions, "first", "HEAD")
    assert {(d.method_a, d.method_b) for d in compared.differences} == {("flowpg", "flowpg"), ("nfw", "nfw")}
    out = acrl(revisions, "compare", "first", "HEAD").out
    assert "R+L2 flowpg  final return" in out


def test_a_method_is_compared_with_itself_at_a_revision(revisions: Path) -> None:
    found = one(compare(revisions, "first", "flowpg", "--task", "R+L2"), "R+L2", "final return")
    assert (found.difference, found.method_a, found.method_b) == (pytest.approx(1000), "flowpg", "flowpg")
    run = f"results/{PROFILE}/runs/R+L2/flowpg/seed-1.json"
    assert one(compare(revisions, "first", run), "R+L2", "final return").difference is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["flowpg", "nfww"],
            "'nfww' is no run's JSON, no method and no git revision: unknown method 'nfww': did you mean",
        ),
        (["flowpg", "--", "-x"], "'-x' is no run's JSON, no method and no git revision"),
        (["flowpg", "nothing.json"], "no such file: nothing.json"),
        (["flowpg", "ddpg-penalty"], "no complete run of ddpg-penalty"),
        (["flowpg", "nfw", "-p", "quik"], "unknown profile 'quik'"),
        (["first", "HEAD", "-p", "paper"], "no run of this profile is committed there"),
        (["first", "HEAD", "--method", "ddpg-penalty"], "no complete run of first"),
        (["flowpg"], "Missing argument 'B'"),
    ],
)
def test_bad_input_is_one_line(revisions: Path, arguments: list[str], message: str) -> None:
    done = acrl(revisions, "compare", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_profiles_are_never_mixed(folder: Path) -> None:
    save(folder / "results" / "small", make_run("R+L2", "nfw", 0, profile="small"))
    done = acrl(folder, "compare", "flowpg", "results/small/runs/R+L2/nfw/seed-0.json")
    assert done.code == 2
    assert "A is of profile 'quick' and B of 'small'" in done.err


@pytest.mark.parametrize(
    ("estimate", "words"),
    [
        (Estimate(1.0, 0.5, 1.5, 3, DIFFERENCE), "B higher"),
        (Estimate(-1.0, -1.5, -0.5, 3, DIFFERENCE), "A higher"),
        (Estimate(0.1, -0.5, 0.7, 3, DIFFERENCE), "no difference shown"),
        (Estimate(0.0, None, None, 3, ALL_EQUAL), "equal in all runs"),
        (Estimate(0.5, None, None, 3, ALL_EQUAL), "no interval: all seeds equal"),
        (Estimate(0.5, None, None, 1, ONE_SEED), "no interval: one seed"),
        (Estimate(None, None, None, 0, OTHER_MACHINES), "not compared: different machines"),
    ],
)
def test_what_an_interval_shows(estimate: Estimate, words: str) -> None:
    assert in_words(estimate) == words


def test_a_difference_agrees_with_welchs_formula() -> None:
    # Means 3 and 5, variances 1 and 4 of 3 and 3: standard error sqrt(5/3), 50/17 degrees of freedom.
    found = difference_interval([3.0, 5.0, 7.0], [2.0, 3.0, 4.0])
    assert found.mean == 2.0
    assert (found.low, found.high) == pytest.approx((2 - 4.1535, 2 + 4.1535), abs=2e-3)


@given(values, values)
def test_a_difference_lies_in_its_interval_and_turns_its_sign(first: list[float], second: list[float]) -> None:
    there, back = difference_interval(second, first), difference_interval(first, second)
    means = mean_interval(second).mean, mean_interval(first).mean
    assert None not in means
    assert there.mean == pytest.approx((means[0] or 0) - (means[1] or 0), abs=1e-6)
    if there.low is not None and there.high is not None and back.low is not None and back.high is not None:
        assert there.low <= (there.mean or 0) <= there.high
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-6)
