from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmark.figures import write_figures
from benchmark.rendering import escape_latex, like, percent
from benchmark.results import Evaluation, RunResult
from benchmark.statistics import STUDENT, WELCH
from benchmark.summaries import REFERENCE
from benchmark.tables import write_tables
from envs.errors import UserError
from tests.benchmark.factories import (
    METHODS,
    PROFILE,
    SEEDS,
    STEPS,
    alter,
    fill,
    make_failure,
    make_flow,
    make_run,
    save,
)

TASKS = ("R+L2", "HC+O")
NAMES = ("leaderboard", "flows", "violations", "wallclock", "returns")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    fill(folder, TASKS)
    return folder


@pytest.fixture
def folder(tmp_path: Path, filled: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / PROFILE))


def write(folder: Path, tasks: tuple[str, ...] = TASKS, seeds: tuple[int, ...] = SEEDS) -> dict[str, str]:
    return {path.name: path.read_text() for path in write_tables(folder, PROFILE, tasks, METHODS, seeds)}


def frame(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv", keep_default_na=True)


def row_of(table: str, *cells: str) -> list[str]:
    """The first row of a Markdown table that begins with the given cells."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return next(row for row in rows if tuple(row[: len(cells)]) == cells)


def change(path: Path, **changes: object) -> None:
    alter(path, lambda data: data.update(changes))


def test_every_table_is_written_three_times_and_on_a_page(folder: Path) -> None:
    written = write(folder)
    names = (*NAMES, "anchors")
    assert set(written) == {f"{name}.{kind}" for name in names for kind in ("csv", "md", "tex")} | {"README.md"}
    page = written["README.md"]
    assert page.startswith(f"# Results of profile {PROFILE}\n")
    assert "20 of 20 runs are complete." in page
    for name in NAMES:
        for line in written[f"{name}.md"].splitlines():
            assert line.lstrip("#") in page


def test_same_results_give_the_same_bytes(folder: Path) -> None:
    first = write(folder)
    for path in (folder / "runs").glob("*/*/*.json"):
        path.touch()
    assert write(folder) == first


def test_page_links_the_figures_that_are_drawn(folder: Path) -> None:
    write_figures(folder, PROFILE, TASKS, METHODS, SEEDS)
    links = re.findall(r"!\[\w+\]\(([^)]+)\)", write(folder)["README.md"])
    assert len(links) == 4
    for link in links:
        assert (folder / "tables" / link).is_file()


def test_every_table_states_profile_budget_seeds_and_tolerance(folder: Path) -> None:
    written = write(folder)
    for name in NAMES:
        for kind in ("md", "tex"):
            assert "Profile quick" in written[f"{name}.{kind}"]
            assert "tolerance" in written[f"{name}.{kind}"] or name == "wallclock"
            assert f"{STEPS:,} steps; seeds: 0, 1 (N = 2)" in written[f"{name}.{kind}"] or name == "flows"
        assert set(frame(folder, name)["profile"]) == {PROFILE}
    assert set(frame(folder, "returns")["steps"]) == {STEPS}


def test_intervals_agree_with_the_closed_form(folder: Path) -> None:
    runs = [make_run("R+L2", "nfw", seed) for seed in SEEDS]
    a, b = (run.returns.final.mean for run in runs if run.returns)
    write(folder)
    cell = frame(folder, "returns").query("task == 'R+L2' and method == 'nfw' and quantity == 'final'").iloc[0]
    # 95% quantile of Student's t with one degree of freedom, times the standard error |a - b| / 2.
    half = math.tan(0.475 * math.pi) * abs(a - b) / 2
    assert (cell["mean"], cell["low"], cell["high"]) == pytest.approx(
        ((a + b) / 2, (a + b) / 2 - half, (a + b) / 2 + half)
    )
    assert (cell["n"], cell["N"], cell["interval"]) == (2, 2, STUDENT)


def test_csv_has_every_kind_of_action_and_tolerance(folder: Path) -> None:
    write(folder)
    table = frame(folder, "violations")
    assert len(table) == len(TASKS) * len(METHODS) * 3 * (5 + 5)
    assert not table.duplicated(["task", "method", "actions", "quantity", "tolerance"]).any()
    counts = [make_run("HC+O", "flowpg", seed).violations for seed in SEEDS]
    keys = {"task": "HC+O", "method": "flowpg", "actions": "behaviour", "quantity": "valid share", "tolerance": 1e-3}
    (found,) = table[(table[list(keys)] == pd.Series(keys)).all(axis=1)]["mean"]
    assert found == pytest.approx(sum(c.behaviour.valid_share["0.001"] for c in counts if c) / 2)


def test_wallclock_parts_add_up_and_are_compared_with_the_reference(folder: Path) -> None:
    write(folder)
    table = frame(folder, "wallclock").set_index(["task", "method", "quantity"])["mean"].unstack()
    parts = table[["prepare", "act", "project", "env", "update", "other"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(table["total"].to_numpy())
    assert (table["total"] - table["prepare"]).to_numpy() == pytest.approx(table["training"].to_numpy())
    totals = {m: [make_run("R+L2", m, seed).seconds.total for seed in SEEDS] for m in ("flowpg", REFERENCE)}
    ratio = math.sqrt(math.prod(totals["flowpg"]) / math.prod(totals[REFERENCE]))
    assert table.loc[("R+L2", "flowpg"), "total ratio"] == pytest.approx(ratio)
    assert table.loc[("R+L2", REFERENCE), "total ratio"] == 1.0
    methods = frame(folder, "wallclock").query("quantity == 'total ratio' and method != @REFERENCE")["interval"]
    assert set(methods) == {WELCH}


def test_a_missing_run_is_counted_and_a_missing_row_shown(folder: Path) -> None:
    (folder / "runs/R+L2/nfw/seed-1.json").unlink()
    for seed in SEEDS:
        (folder / f"runs/R+L2/flowpg/seed-{seed}.json").unlink()
    written = write(folder, (*TASKS, "BSS-3"))
    assert row_of(written["returns.md"], "R+L2", "nfw")[2] == "1/2"
    assert "[" not in row_of(written["returns.md"], "R+L2", "nfw")[3]
    assert row_of(written["returns.md"], "R+L2", "flowpg")[2:] == ["0/2", "—", "—"]
    assert "17 of 30 runs are complete." in written["README.md"]


def test_a_task_that_nobody_has_run_is_left_out_and_named(folder: Path) -> None:
    written = write(folder, (*TASKS, "BSS-3"))
    for name, text in written.items():
        if name.endswith(".md"):
            assert "| BSS-3" not in text
    for name in ("README.md", "returns.md", "violations.md"):
        assert "Not run yet by any method, and so left out: BSS-3." in written[name]
    assert "BSS-3,nfw,final" in written["returns.csv"]


def test_runs_that_returns_are_measured_by_are_counted(folder: Path) -> None:
    assert "0 of 8 runs that returns are measured by." in write(folder)["README.md"]
    save(folder, make_run("R+N", "ddpg-projection", 0))
    assert "1 of 8 runs that returns are measured by, made at commit" in write(folder)["README.md"]


def test_without_the_reference_there_is_no_ratio(folder: Path) -> None:
    for seed in SEEDS:
        (folder / f"runs/R+L2/{REFERENCE}/seed-{seed}.json").unlink()
    row = row_of(write(folder)["wallclock.md"], "R+L2", "nfw")
    assert row[2] == "2/2"
    assert (row[4], row[6]) == ("—", "—")


def test_failed_and_timed_out_runs_are_missing_and_listed(folder: Path) -> None:
    save(folder, make_failure("R+L2", "nfw", 0))
    save(folder, make_failure("HC+O", "nfw", 1, status="timeout", error="gave up after 60 s"))
    written = write(folder)
    for name in ("violations", "wallclock", "returns"):
        assert row_of(written[f"{name}.md"], "R+L2", "nfw")[2] == "1/2"
        expected = "R+L2, nfw, seed 0 failed and counts as missing: RuntimeError: loss is not \\| finite"
        assert expected in written[f"{name}.md"]
        assert "HC+O, nfw, seed 1 timed out and counts as missing: gave up after 60 s" in written[f"{name}.tex"]
    assert written["README.md"].count("R+L2, nfw, seed 0 failed") == 1


def test_a_run_outside_of_the_selection_is_named_and_not_used(folder: Path) -> None:
    save(folder, make_run("R+L2", "nfw", 7))
    written = write(folder)
    assert row_of(written["returns.md"], "R+L2", "nfw")[2] == "2/2"
    assert "not shown: runs/R+L2/nfw/seed-7.json" in written["returns.md"]


def test_seeds_are_in_numeric_order(folder: Path) -> None:
    for seed in (2, 10):
        save(folder, make_failure("R+L2", "nfw", seed))
    text = write(folder, seeds=(0, 1, 2, 10))["returns.md"]
    assert text.index("seed 2 failed") < text.index("seed 10 failed")


def test_profiles_never_mix(folder: Path) -> None:
    path = save(folder, make_run("R+L2", "nfw", 1, profile="paper"))
    with pytest.raises(UserError, match=re.escape(str(path)) + ".*'paper'"):
        write(folder)
    assert not (folder / "tables").exists()
    save(folder, make_run("R+L2", "nfw", 1))
    save(folder, make_flow("R+L2", profile="paper"))
    with pytest.raises(UserError, match=re.escape("flows/flowpg/R+L2.json") + ".*'paper'"):
        write(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"task": "HC+O"}, "move it there"),
        ({"seed": 5}, "move it there"),
        ({"returns": None}, "marked complete but lacks"),
        ({"config": {}}, "marked complete but lacks"),
        ({"config": {"steps": 7}}, "different budgets: 7, 20000"),
        ({"config": {"steps": STEPS, "gamma": 0.5}}, "different gamma, network"),
        ({"seconds": {}}, "took no time"),
        ({"surprise": 1}, "damaged at 'surprise'"),
    ],
)
def test_a_file_that_would_spoil_a_table_is_refused(folder: Path, changes: dict[str, object], message: str) -> None:
    change(folder / "runs/R+L2/nfw/seed-1.json", **changes)
    with pytest.raises(UserError, match=message) as caught:
        write(folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "tables").exists()


def test_shares_at_other_tolerances_are_refused(folder: Path) -> None:
    run = make_run("R+L2", "nfw", 0)
    assert run.violations is not None
    run.violations.executed.valid_share = {"0.5": 1.0}
    save(folder, run)
    with pytest.raises(UserError, match="other tolerances"):
        write(folder)


def test_truncated_file_is_refused(folder: Path) -> None:
    path = folder / "runs/R+L2/nfw/seed-1.json"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="truncated"):
        write(folder)


def test_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no complete run of profile 'quick' in .*: make runs with `acrl"):
        write(tmp_path / PROFILE)


def test_a_folder_without_runs_gives_empty_tables(tmp_path: Path) -> None:
    written = write(tmp_path)
    assert "0 of 20 runs are complete." in written["README.md"]
    assert "| HC+O" not in written["wallclock.md"]
    assert "left out: R+L2, HC+O" in written["README.md"]


def with_executed(run: RunResult, share: float) -> RunResult:
    assert run.violations is not None
    executed = run.violations.executed
    executed.count, executed.mean, executed.max = 1, 0.002, 0.002
    executed.valid_share |= {"0": share, "1e-06": share, "0.001": share}
    return run


def test_an_infeasible_executed_action_is_seen(folder: Path) -> None:
    save(folder, with_executed(make_run("R+L2", "nfw", 0), 0.9999999))
    text = write(folder)["violations.md"]
    executed = row_of(text[text.index("after repair") :], "R+L2", "nfw")
    assert executed[3].startswith("99.99999")
    assert executed[-1] == "0.00200"
    assert "R+L2, nfw: not every executed action was feasible, up to tolerance 0.001." in text
    assert "R+L2, flowpg: not every" not in text


def test_sizes_are_of_seeds_that_had_violations(folder: Path) -> None:
    run, other = make_run("R+L2", "flowpg", 0), make_run("R+L2", "flowpg", 1).violations
    assert run.violations is not None
    assert other is not None
    run.violations.policy = run.violations.executed.model_copy()
    save(folder, run)
    row = row_of(write(folder)["violations.md"], "R+L2", "flowpg")
    assert row[5] == f"{other.policy.mean:.4f} (1/2)"


def on_machine(run: RunResult, **changes: object) -> RunResult:
    return run.model_copy(update={"provenance": run.provenance.model_copy(update=changes)})


def test_a_row_with_times_of_different_machines_is_marked_and_has_no_ratio(folder: Path) -> None:
    save(folder, on_machine(make_run("R+L2", "nfw", 0), threads=2))
    text = write(folder)["wallclock.md"]
    machines = "times of different machines: Example CPU 3000, 1 thread; Example CPU 3000, 2 threads."
    row = row_of(text, "R+L2", "nfw")
    assert row[3].endswith("†")
    assert (row[4], row[6]) == ("—", "—")
    assert f"† R+L2, nfw: {machines}" in text
    assert f"No ratio: R+L2, nfw: {machines}" in text
    assert row_of(text, "R+L2", "flowpg")[4] not in ("", "—")


def test_runs_of_another_machine_have_no_wall_clock_ratio_to_runs_of_this_one(folder: Path) -> None:
    for seed in SEEDS:
        save(folder, on_machine(make_run("R+L2", "nfw", seed), processor="Another CPU"))
    text = write(folder)["wallclock.md"]
    row = row_of(text, "R+L2", "nfw")
    # Their own times are of one machine, and as good as any; returns and validity are compared as ever.
    assert not row[3].endswith("†")
    assert (row[4], row[6]) == ("—", "—")
    ratios = frame(folder, "wallclock").query("task == 'R+L2' and method == 'nfw' and unit == 'ratio'")
    assert ratios["mean"].isna().all()
    assert set(ratios["interval"]) == {"none: different machines"}
    assert row_of(write(folder)["returns.md"], "R+L2", "nfw")[3] not in ("", "—")


def test_budgets_may_differ_between_tasks(folder: Path) -> None:
    for path in (folder / "runs/HC+O").glob("*/*.json"):
        change(path, config={"steps": 500})
    assert f"budget: R+L2 {STEPS:,} steps, HC+O 500 steps" in write(folder)["returns.md"]


def test_latex_is_well_formed(folder: Path) -> None:
    save(folder, make_failure("R+L2", "nfw", 0, error="a_b^c & 100% $x$ {y} ~ # \\z <t>"))
    for name, text in write(folder).items():
        if not name.endswith(".tex"):
            continue
        begun, ended = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
        assert sorted(begun) == sorted(ended)
        body = re.sub(r"\\[&%$#_{}]", "", text)
        assert body.count("{") == body.count("}")
        for line in body.splitlines():
            assert not set(line) & set("_#$^~")
            assert "&" not in line or line.endswith("\\\\")
            # A comment sign may only end a line, or begin the first.
            assert "%" not in line[1:-1]


def test_returns_count_their_episodes(folder: Path) -> None:
    run = make_run("R+L2", "nfw", 0)
    assert run.returns is not None
    run.returns.final = Evaluation(step=STEPS, mean=1.0, episodes=[1.0] * 7)
    save(folder, run)
    assert "5 or 7 episodes a seed" in write(folder)["returns.md"]


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0"), (1, "100"), (0.5, "50.00"), (0.99999, "99.999"), (1 - 1e-9, "99.9999999"), (1e-7, "0.00001")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("mean", "value", "text"),
    [(0.05512, 0.1, "0.1000"), (1234.5, 99.6, "100"), (0.0001, 0.0, "0"), (-12.345, -0.5, "-0.5"), (0.0, 0.0, "0")],
)
def test_interval_has_the_digits_of_its_mean(mean: float, value: float, text: str) -> None:
    assert like(mean, whole=False)(value) == text


def test_latex_escapes() -> None:
    assert escape_latex("a_b & 5% <x>") == r"a\_b \& 5\% \textless{}x\textgreater{}"


def test_the_page_names_the_commits_of_runs_and_of_flows(folder: Path) -> None:
    origin = make_run().provenance
    save(folder, make_flow(provenance=origin.model_copy(update={"commit": "f" * 40})))
    page = write(folder)["README.md"]
    own = (origin.commit or "unknown")[:12]
    assert f"- Made at commit {own}" in page
    assert f"- Flows were trained at commit {own}, {'f' * 12}" in page
