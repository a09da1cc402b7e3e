"""Wall-clock in tables: parts, ratios, and times of different machines."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from benchmark.analysis.statistics import WELCH
from benchmark.analysis.summaries import NOTHING_PREPARED, REFERENCE, SHARED_FLOW
from benchmark.records.results import RunResult
from tests.benchmark.synthetic_results import (
    PROFILE,
    SEEDS,
    make_provenance,
    make_run,
    read_table,
    row_of,
    save,
    tables_of,
)


@pytest.fixture
def folder(tmp_path: Path, made_up: Path) -> Path:
    return Path(shutil.copytree(made_up, tmp_path / PROFILE))


def test_a_preparation_is_shown_where_there_is_one_and_has_no_interval_where_seeds_share_a_flow(folder: Path) -> None:
    settings = {"samples": {"train": 10}, "flow": {"updates": 5}}
    for seed in SEEDS:
        for method, prepare in (("flowpg", 95.0 + seed / 1000), ("nfw", 1e-5 * (1 + seed))):
            run = make_run("R+L2", method, seed)
            seconds = run.seconds.model_copy(update={"prepare": prepare, "total": run.seconds.total + 100})
            own = {"method": settings} if method == "flowpg" else {}
            save(folder, run.model_copy(update={"seconds": seconds, "config": run.config | own}))
    parts = tables_of(folder)["wallclock.md"].split("## Parts")[1]
    assert row_of(parts, "R+L2", "flowpg")[3] == "95.0"
    assert row_of(parts, "R+L2", "nfw")[3] == "—"
    # Without settings of a flow nothing says that seeds shared one.
    assert "[" in row_of(parts, "HC+O", "flowpg")[3]
    table = (
        read_table(folder, "wallclock")
        .query("task == 'R+L2' and quantity == 'prepare'")
        .set_index("method")["interval"]
    )
    assert (table["flowpg"], table["nfw"]) == (SHARED_FLOW, NOTHING_PREPARED)


def test_wallclock_parts_add_up_and_are_compared_with_the_reference(folder: Path) -> None:
    tables_of(folder)
    table = read_table(folder, "wallclock").set_index(["task", "method", "quantity"])["mean"].unstack()
    parts = table[["prepare", "act", "project", "env", "update", "other"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(table["total"].to_numpy())
    assert table["prepare"].notna().tolist() == [method == "flowpg" for _, method in table.index]
    assert (table["total"] - table["prepare"].fillna(0)).to_numpy() == pytest.approx(table["training"].to_numpy())
    totals = {m: [make_run("R+L2", m, seed).seconds.total for seed in SEEDS] for m in ("flowpg", REFERENCE)}
    ratio = math.sqrt(math.prod(totals["flowpg"]) / math.prod(totals[REFERENCE]))
    assert table.loc[("R+L2", "flowpg"), "total ratio"] == pytest.approx(ratio)
    assert table.loc[("R+L2", REFERENCE), "total ratio"] == 1.0
    methods = read_table(folder, "wallclock").query("quantity == 'total ratio' and method != @REFERENCE")["interval"]
    assert set(methods) == {WELCH}


def on_machine(run: RunResult, **changes: object) -> RunResult:
    return run.model_copy(update={"provenance": make_provenance(**changes)})


def test_a_row_with_times_of_different_machines_is_marked_and_has_no_ratio(folder: Path) -> None:
    save(folder, on_machine(make_run("R+L2", "nfw", 0), threads=2))
    text = tables_of(folder)["wallclock.md"]
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
    text = tables_of(folder)["wallclock.md"]
    row = row_of(text, "R+L2", "nfw")
    # Their own times are of one machine, and as good as any; returns and validity are compared as ever.
    assert not row[3].endswith("†")
    assert (row[4], row[6]) == ("—", "—")
    ratios = read_table(folder, "wallclock").query("task == 'R+L2' and method == 'nfw' and unit == 'ratio'")
    assert ratios["mean"].isna().all()
    assert set(ratios["interval"]) == {"none: different machines"}
    assert row_of(tables_of(folder)["returns.md"], "R+L2", "nfw")[3] not in ("", "—")
