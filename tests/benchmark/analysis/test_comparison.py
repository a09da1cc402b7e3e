"""Comparisons of runs, methods and revisions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.analysis.comparison import Compared, Difference, in_words
from benchmark.analysis.statistics import ALL_EQUAL, DIFFERENCE, ONE_SEED, OTHER_MACHINES, Estimate, difference_interval
from benchmark.training.meter import Tally
from tests.benchmark import synthetic_results as synthetic
from tests.benchmark.command import acrl, git, refused, workplace
from tests.benchmark.synthetic_results import PROFILE, TWO_TASKS, make_run, save

SEEDS = (0, 1, 2)
RUNS = f"results/{PROFILE}/runs/R+L2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = workplace(tmp_path / "here")
    for task in TWO_TASKS:
        for method in ("flowpg", "nfw"):
            save(folder / "results" / PROFILE, *(make_run(task, method, seed) for seed in SEEDS))
    return folder


def compare(folder: Path, *arguments: str | Path) -> Compared:
    done = acrl(folder, "compare", *arguments, "--json")
    assert done.code == 0, done.err
    return Compared.model_validate_json(done.out)


def one(compared: Compared, task: str, quantity: str, tolerance: float | None = None) -> Difference:
    (found,) = [d for d in compared.differences if (d.task, d.quantity, d.tolerance) == (task, quantity, tolerance)]
    return found


def test_two_methods_differ_by_what_their_runs_do(folder: Path) -> None:
    compared = compare(folder, "flowpg", "nfw")
    assert {d.task for d in compared.differences} == set(TWO_TASKS)
    runs = {m: [make_run("R+L2", m, seed) for seed in SEEDS] for m in ("flowpg", "nfw")}
    final = {m: [run.returns.final.mean for run in several if run.returns] for m, several in runs.items()}
    found = one(compared, "R+L2", "final return")
    expected = difference_interval(final["nfw"], final["flowpg"])
    assert (found.difference, found.low, found.high) == (expected.mean, expected.low, expected.high)
    assert found.a == pytest.approx(sum(final["flowpg"]) / 3)
    assert (found.n_a, found.n_b, found.interval) == (3, 3, DIFFERENCE)
    # flowpg's violations are a hundredth of nfw's, in three times the time.
    assert one(compared, "R+L2", "violations in training", 0.0).shown == "B higher"
    assert one(compared, "R+L2", "valid share in training", 0.0).shown == "A higher"
    assert one(compared, "R+L2", "total").shown == "A higher (under unknown load)"
    assert [note for note in compared.notes if "`acrl timing`" in note]


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
    assert "A: 3 of 3 runs are stale: their versions or settings are not today's" in done.out


def test_one_seed_has_no_interval(folder: Path) -> None:
    compared = compare(folder, f"{RUNS}/flowpg/seed-0.json", "nfw")
    found = {(d.task, d.n_a, d.n_b, d.low, d.interval, d.shown) for d in compared.differences}
    assert found == {("R+L2", 1, 3, None, ONE_SEED, "no interval: one seed")}
    assert "only B has HC+O nfw" in compared.notes


def test_seconds_of_different_machines_are_not_compared(folder: Path) -> None:
    other = synthetic.make_provenance(machine="1" * 12, versions={"torch": "1.13.1"})
    save(folder / "results" / PROFILE, *(make_run("R+L2", "nfw", seed, provenance=other) for seed in SEEDS))
    compared = compare(folder, "flowpg", "nfw")
    for quantity in ("total", "total without prepare"):
        found = one(compared, "R+L2", quantity)
        assert (found.a, found.b, found.difference, found.low, found.interval) == (*[None] * 4, OTHER_MACHINES)
        assert one(compared, "HC+O", quantity).difference is not None
    assert one(compared, "R+L2", "final return").low is not None
    assert "R+L2: runs were made with different versions of libraries: torch 1.13.1 and 2.13.0" in compared.notes
    (note,) = [note for note in compared.notes if "machines" in note]
    assert note.startswith(
        "R+L2: seconds are from different or unknown machines, Example CPU 3000, 1 thread, machine 000000000000; "
    )
    rows = acrl(folder, "compare", "flowpg", "nfw").out.splitlines()
    (row,) = [row for row in rows if row.startswith("R+L2    total [")]
    assert row.split()[3:7] == ["—", "—", "—", "—"]


def test_policies_that_were_never_judged_do_not_compare(folder: Path) -> None:
    for seed in SEEDS:
        run = make_run("R+L2", "nfw", seed)
        assert run.violations is not None
        unjudged = Tally().record()
        violations = run.violations.model_copy(update={"policy": unjudged})
        save(folder / "results" / PROFILE, run.model_copy(update={"violations": violations}))
    compared = compare(folder, "flowpg", "nfw", "--task", "R+L2")
    for quantity in ("violations in training", "valid share in training"):
        assert one(compared, "R+L2", quantity, 0.0).shown == "not compared: no data"
    row = synthetic.row_of(synthetic.tables_of(folder / "results" / PROFILE)["violations.md"], "R+L2", "nfw")
    assert set(row[3:]) == {"—"}


def test_what_does_not_compare_is_left_out_and_said(folder: Path) -> None:
    for seed in SEEDS:
        # Nothing prepared on the one task, another budget on the other.
        run = make_run("R+L2", "flowpg", seed)
        seconds = run.seconds.model_copy(update={"prepare": 1e-5})
        save(folder / "results" / PROFILE, run.model_copy(update={"seconds": seconds}))
        run = make_run("HC+O", "nfw", seed)
        save(folder / "results" / PROFILE, run.model_copy(update={"config": run.config | {"steps": 500}}))
    save(folder / "results" / PROFILE, synthetic.make_failure("R+L2", "nfw", 2))
    compared = compare(folder, "flowpg", "nfw")
    assert {d.task for d in compared.differences} == {"R+L2"}
    assert "HC+O: budgets of 20,000 and 500 steps, which do not compare" in compared.notes
    assert "total without prepare" not in {d.quantity for d in compared.differences}
    assert one(compared, "R+L2", "final return").n_b == 2
    assert "B: 1 of 6 runs are not complete and are left out" in compared.notes


@pytest.fixture
def revisions(folder: Path) -> Path:
    """Two commits: at the second one flowpg has returns higher by 1000, and another setting."""
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "first")
    for seed in SEEDS:
        run = make_run("R+L2", "flowpg", seed)
        assert run.returns is not None
        run.returns.final.mean += 1000
        save(folder / "results" / PROFILE, run.model_copy(update={"config": run.config | {"gamma": 0.5}}))
    git(folder, "commit", "-qam", "second")
    return folder


def test_two_revisions_are_compared_as_they_are_committed(revisions: Path) -> None:
    # A method is compared with itself at a revision, and so is a run.
    found = one(compare(revisions, "first", "flowpg", "--task", "R+L2"), "R+L2", "final return")
    assert (found.difference, found.method_a, found.method_b) == (pytest.approx(1000), "flowpg", "flowpg")
    found = one(compare(revisions, "first", f"{RUNS}/flowpg/seed-1.json"), "R+L2", "final return")
    assert found.difference is not None
    shutil.rmtree(revisions / "results")
    compared = compare(revisions, "first", "HEAD", "--method", "flowpg")
    found = one(compared, "R+L2", "final return")
    assert (found.difference, found.shown) == (pytest.approx(1000), "B higher")
    other = one(compared, "HC+O", "final return")
    assert (other.difference, other.shown) == (0, "no difference shown")
    assert compared.a.startswith(f"first ({git(revisions, 'rev-parse', 'first')[:12]})")
    assert "R+L2, flowpg: different settings: gamma" in compared.notes
    assert "3 runs are the same file on both sides: these samples are not independent" in compared.notes
    # Without a choice every method is compared with itself.
    compared = compare(revisions, "first", "HEAD")
    assert {(d.method_a, d.method_b) for d in compared.differences} == {("flowpg", "flowpg"), ("nfw", "nfw")}
    assert "R+L2 flowpg  final return" in acrl(revisions, "compare", "first", "HEAD").out


def test_bad_input_is_one_line(revisions: Path) -> None:
    save(revisions / "results" / "small", make_run("R+L2", "nfw", 0, profile="small"))
    unknown = "is not a run's JSON, a method or a git revision"
    for arguments, message in (
        (["flowpg", "nfww"], f"'nfww' {unknown}: unknown method 'nfww': did you mean"),
        (["flowpg", "--", "-x"], f"'-x' {unknown}"),
        (["flowpg", "nothing.json"], "no such file: nothing.json"),
        (["flowpg", "ddpg-penalty"], "no complete run of ddpg-penalty"),
        (["flowpg", "nfw", "-p", "quik"], "unknown profile 'quik'"),
        (["first", "HEAD", "-p", "paper"], "no run of this profile is committed there"),
        (["first", "HEAD", "--method", "ddpg-penalty"], "no complete run of first"),
        (["flowpg", "results/small/runs/R+L2/nfw/seed-0.json"], "A is of profile 'quick' and B of 'small'"),
    ):
        assert message in refused(revisions, "compare", *arguments)


def test_seeds_without_a_spread_have_no_interval() -> None:
    assert in_words(Estimate(0.0, None, None, 3, ALL_EQUAL)) == "equal in all runs"
    assert in_words(Estimate(0.5, None, None, 3, ALL_EQUAL)) == "no interval: all seeds equal"
