"""Tables as they are written: what is in them, and on their page."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmark.analysis.statistics import STUDENT
from benchmark.publishing.figures.curves import write_figures
from benchmark.records.results import RunResult
from tests.benchmark.synthetic_results import (
    METHODS,
    PROFILE,
    SEEDS,
    STEPS,
    TWO_TASKS,
    board_of,
    make_failure,
    make_run,
    read_table,
    row_of,
    save,
    tables_of,
)

NAMES = ("leaderboard", "flows", "violations", "wallclock", "returns")


@pytest.fixture
def folder(tmp_path: Path, made_up: Path) -> Path:
    return Path(shutil.copytree(made_up, tmp_path / PROFILE))


def test_every_table_is_written_three_times_and_on_a_page(folder: Path) -> None:
    written = tables_of(folder)
    names = (*NAMES, "anchors")
    assert set(written) == {f"{name}.{kind}" for name in names for kind in ("csv", "md", "tex")} | {"README.md"}
    page = written["README.md"]
    assert page.startswith(f"# Results of profile {PROFILE}\n")
    assert "20 of 20 runs are complete." in page
    for name in NAMES:
        for line in written[f"{name}.md"].splitlines():
            assert line.lstrip("#") in page


def test_page_links_the_figures_that_are_drawn(folder: Path) -> None:
    write_figures(board_of(folder), folder)
    links = re.findall(r"!\[\w+\]\(([^)]+)\)", tables_of(folder)["README.md"])
    assert len(links) == 4
    for link in links:
        assert (folder / "tables" / link).is_file()


def test_every_table_states_profile_budget_seeds_and_tolerance(folder: Path) -> None:
    written = tables_of(folder)
    for name in NAMES:
        for kind in ("md", "tex"):
            assert "Profile quick" in written[f"{name}.{kind}"]
            assert "tolerance" in written[f"{name}.{kind}"] or name == "wallclock"
            assert f"{STEPS:,} steps; seeds: 0, 1 (N = 2)" in written[f"{name}.{kind}"] or name == "flows"
        assert set(read_table(folder, name)["profile"]) == {PROFILE}
    assert set(read_table(folder, "returns")["steps"]) == {STEPS}


def test_intervals_agree_with_the_closed_form(folder: Path) -> None:
    runs = [make_run("R+L2", "nfw", seed) for seed in SEEDS]
    a, b = (run.returns.final.mean for run in runs if run.returns)
    tables_of(folder)
    cell = read_table(folder, "returns").query("task == 'R+L2' and method == 'nfw' and quantity == 'final'").iloc[0]
    # 95% quantile of Student's t with one degree of freedom, times the standard error |a - b| / 2.
    half = math.tan(0.475 * math.pi) * abs(a - b) / 2
    assert (cell["mean"], cell["low"], cell["high"]) == pytest.approx(
        ((a + b) / 2, (a + b) / 2 - half, (a + b) / 2 + half)
    )
    assert (cell["n"], cell["N"], cell["interval"]) == (2, 2, STUDENT)


def test_csv_has_every_kind_of_action_and_tolerance(folder: Path) -> None:
    tables_of(folder)
    table = read_table(folder, "violations")
    assert len(table) == len(TWO_TASKS) * len(METHODS) * 3 * (5 + 5)
    assert not table.duplicated(["task", "method", "actions", "quantity", "tolerance"]).any()
    counts = [make_run("HC+O", "flowpg", seed).violations for seed in SEEDS]
    keys = {"task": "HC+O", "method": "flowpg", "actions": "behaviour", "quantity": "valid share", "tolerance": 1e-3}
    (found,) = table[(table[list(keys)] == pd.Series(keys)).all(axis=1)]["mean"]
    assert found == pytest.approx(sum(c.behaviour.valid_share["0.001"] for c in counts if c) / 2)


def test_runs_that_returns_are_measured_by_are_counted(folder: Path) -> None:
    assert "0 of 8 runs that returns are measured by." in tables_of(folder)["README.md"]
    save(folder, make_run("R+N", "ddpg-projection", 0))
    assert "1 of 8 runs that returns are measured by, made at commit" in tables_of(folder)["README.md"]


def with_executed(run: RunResult, share: float) -> RunResult:
    assert run.violations is not None
    executed = run.violations.executed
    executed.count, executed.mean, executed.max = 1, 0.002, 0.002
    executed.valid_share |= {"0": share, "1e-06": share, "0.001": share}
    return run


def test_an_infeasible_executed_action_is_seen(folder: Path) -> None:
    save(folder, with_executed(make_run("R+L2", "nfw", 0), 0.9999999))
    text = tables_of(folder)["violations.md"]
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
    row = row_of(tables_of(folder)["violations.md"], "R+L2", "flowpg")
    assert row[5] == f"{other.policy.mean:.4f} (1/2)"


def test_latex_is_well_formed(folder: Path) -> None:
    save(folder, make_failure("R+L2", "nfw", 0, error="a_b^c & 100% $x$ {y} ~ # \\z <t>"))
    for name, text in tables_of(folder).items():
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
