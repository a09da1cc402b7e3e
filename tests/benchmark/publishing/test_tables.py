"""Tables as they are written: what is in them, and on their page."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from benchmark.analysis.statistics import WELCH
from benchmark.analysis.summaries import NOTHING_PREPARED, REFERENCE, SHARED_FLOW
from benchmark.experiments import EXPERIMENTS, find_experiment
from benchmark.experiments.base import Context
from benchmark.publishing.figures import FIGURES
from benchmark.publishing.tables import coverage_tables
from benchmark.publishing.tables.rendering import digits_of_interval, digits_of_score, like, percent
from benchmark.records.config import load_params
from benchmark.records.reports import CoverageReport, StateCoverage, coverage_path
from benchmark.records.results import TOLERANCE_KEYS
from envs.errors import UserError
from tests.benchmark import synthetic_results as synthetic
from tests.benchmark.command import ROOT
from tests.benchmark.synthetic_results import (
    PROFILE,
    SEEDS,
    STEPS,
    board_of,
    make_run,
    make_run_with_return,
    read_table,
    row_of,
    save,
    tables_of,
)

NAMES = ("leaderboard", "flows", "violations", "wallclock", "returns", "anchors")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0"), (1, "100"), (0.5, "50.00"), (0.99999, "99.999"), (1 - 1e-9, "99.9999999"), (1e-7, "0.00001")],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("values", "share", "text"),
    [
        ((0.8226, 0.8074, 0.8337), True, "82.3 [80.7, 83.4]"),
        ((0.99996, 0.9, 1.0), True, "99.996 [90, 100]"),
        ((-16688.4, -16794.2, -16582.0), False, "-16,688 [-16,794, -16,582]"),
        ((0.7001, 0.6421, 0.7544), False, "0.70 [0.64, 0.75]"),
        ((4.7897, 4.6940, 4.8866), False, "4.79 [4.69, 4.89]"),
        ((-8.573, -18.75, 1.6), False, "-9 [-19, 2]"),
        ((-0.01, -0.4, 0.4), False, "0.0 [-0.4, 0.4]"),
    ],
)
def test_digits_end_where_the_interval_makes_them_meaningless(
    values: tuple[float, float, float], share: bool, text: str
) -> None:
    number = digits_of_interval(*values, share)
    mean, low, high = map(number, values)
    assert f"{mean} [{low}, {high}]" == text


def test_a_score_has_a_decimal_however_wide_its_interval() -> None:
    number = digits_of_score(1.55, -1.36, 5.8, False)
    assert [number(value) for value in (1.55, -1.36, 5.8)] == ["1.6", "-1.4", "5.8"]
    assert digits_of_score(1.024, 1.0, 1.05, False)(1.024) == "1.02"


@pytest.mark.parametrize(
    ("mean", "value", "text"),
    [
        (0.05512, 0.1, "0.1000"),
        (1234.5, 99.6, "100"),
        (0.0001, 0.0, "0"),
        (-12.345, -0.5, "-0.5"),
        (-12.345, -0.01, "0.0"),
        (0.0, 0.0, "0"),
    ],
)
def test_interval_has_the_digits_of_its_mean(mean: float, value: float, text: str) -> None:
    assert like(mean, whole=False)(value) == text


# --- all tables -------------------------------------------------------------------------------------------------------


def test_every_table_is_written_three_times_and_on_a_page_and_states_what_it_is_of(copied: Path) -> None:
    written = tables_of(copied)
    assert set(written) == {f"{name}.{kind}" for name in NAMES for kind in ("csv", "md", "tex")} | {"README.md"}
    page = written["README.md"]
    assert page.startswith(f"# Results of profile {PROFILE}\n")
    assert "20 of 20 runs are complete." in page
    assert "0 of 8 reference runs are complete." in page
    assert re.findall(r"!\[\w+\]\(([^)]+)\)", page) == [f"../figures/{name}.png" for name in FIGURES]
    for name in NAMES:
        assert all(line.lstrip("#") in page for line in written[f"{name}.md"].splitlines())
        for text in (written[f"{name}.md"], written[f"{name}.tex"]):
            assert "profile quick" in text.lower()
            assert f"{STEPS:,} steps; seeds: 0, 1 (N = 2)" in text or name in ("flows", "anchors")
        assert set(read_table(copied, name)["profile"]) == {PROFILE}


def test_a_caption_of_a_table_or_figure_has_at_most_two_sentences() -> None:
    context = Context(load_params(ROOT / "params.yaml"), "small", ROOT / "results")
    captions = {name: find_experiment(name).caption(context) for name in EXPERIMENTS} | FIGURES
    for page in (ROOT / "results" / "small" / "tables").glob("[!R]*.md"):
        captions[page.stem] = page.read_text().split("\n\n")[1]
    sentences = {name: len(re.findall(r"[.!?](?=\s|$)", caption)) for name, caption in captions.items()}
    assert {name for name, number in sentences.items() if number > 2} == set()


def test_latex_is_well_formed(copied: Path) -> None:
    save(copied, synthetic.make_failure("R+L2", "nfw", 0, error="a_b^c & 100% $x$ {y} ~ # \\z <t>"))
    for name, text in tables_of(copied).items():
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


def test_every_table_of_runs_says_that_their_libraries_or_versions_differ(copied: Path) -> None:
    old = synthetic.make_provenance(versions={"torch": "1.13.1"})
    save(copied, make_run("R+L2", "nfw", 0, provenance=old, versions={"protocol": 99}))
    tables = tables_of(copied)
    for note in ("libraries: torch 1.13.1 and 2.13.0", "seeds of different versions"):
        said = [name for name, text in tables.items() if note in text]
        assert said == [
            f"{name}.{kind}" for name in ("leaderboard", "violations", "wallclock", "returns") for kind in ("md", "tex")
        ] + ["README.md"]
    assert "replaces them: R+L2 nfw." in tables["leaderboard.md"]


# --- violations -------------------------------------------------------------------------------------------------------


def test_an_infeasible_executed_action_is_seen_and_sizes_are_of_seeds_that_had_violations(copied: Path) -> None:
    run, other = make_run("R+L2", "nfw", 0), make_run("R+L2", "nfw", 1)
    assert run.violations is not None
    assert other.violations is not None
    run.violations.policy = run.violations.executed.model_copy(deep=True)
    executed = run.violations.executed
    executed.count, executed.mean, executed.max = 1, 0.002, 0.002
    executed.valid_share |= dict.fromkeys(("0", "1e-06", "0.001"), 0.9999999)
    save(copied, run)
    text = tables_of(copied)["violations.md"]
    mean = other.violations.policy.mean
    assert row_of(text, "R+L2", "nfw")[5] == f"{like(mean, True)(mean)} (1/2)"
    row = row_of(text[text.index("after repair") :], "R+L2", "nfw")
    assert row[3].startswith("99.99999")
    assert row[-1] == "0.00200"
    assert "R+L2, nfw: not every executed action was feasible, up to tolerance 0.001." in text
    assert "R+L2, flowpg: not every" not in text


# --- wall-clock -------------------------------------------------------------------------------------------------------


def test_a_preparation_is_shown_where_there_is_one_and_has_no_interval_where_seeds_share_a_flow(copied: Path) -> None:
    settings = {"samples": {"train": 10}, "flow": {"updates": 5}}
    for seed in SEEDS:
        for method, prepare in (("flowpg", 95.0 + seed / 1000), ("nfw", 1e-5 * (1 + seed))):
            run = make_run("R+L2", method, seed)
            seconds = run.seconds.model_copy(update={"prepare": prepare, "total": run.seconds.total + 100})
            own = {"method": settings} if method == "flowpg" else {}
            save(copied, run.model_copy(update={"seconds": seconds, "config": run.config | own}))
    parts = tables_of(copied)["wallclock.md"].split("## Parts")[1]
    assert row_of(parts, "R+L2", "flowpg")[3] == "95.0"
    assert row_of(parts, "R+L2", "nfw")[3] == "—"
    # Without settings of a flow nothing says that seeds shared one.
    assert "[" in row_of(parts, "HC+O", "flowpg")[3]
    table = read_table(copied, "wallclock").query("task == 'R+L2' and quantity == 'prepare'")
    found = table.set_index("method")["interval"]
    assert (found["flowpg"], found["nfw"]) == (SHARED_FLOW, NOTHING_PREPARED)


def test_wallclock_parts_add_up_and_are_compared_with_the_reference(copied: Path) -> None:
    tables_of(copied)
    table = read_table(copied, "wallclock").set_index(["task", "method", "quantity"])["mean"].unstack()
    parts = table[["prepare", "act", "project", "env", "update", "other"]].sum(axis=1)
    assert parts.to_numpy() == pytest.approx(table["total"].to_numpy())
    assert (table["total"] - table["prepare"].fillna(0)).to_numpy() == pytest.approx(table["training"].to_numpy())
    totals = {m: [make_run("R+L2", m, seed).seconds.total for seed in SEEDS] for m in ("flowpg", REFERENCE)}
    ratio = math.sqrt(math.prod(totals["flowpg"]) / math.prod(totals[REFERENCE]))
    assert table.loc[("R+L2", "flowpg"), "total ratio"] == pytest.approx(ratio)
    assert table.loc[("R+L2", REFERENCE), "total ratio"] == 1.0
    methods = read_table(copied, "wallclock").query("quantity == 'total ratio' and method != @REFERENCE")["interval"]
    assert set(methods) == {WELCH}


@pytest.mark.parametrize(("seeds", "own_times_compare"), [((0,), False), (SEEDS, True)])
def test_times_of_different_machines_have_no_ratio(
    copied: Path, seeds: tuple[int, ...], own_times_compare: bool
) -> None:
    for seed in seeds:
        save(copied, make_run("R+L2", "nfw", seed, provenance=synthetic.make_provenance(threads=2)))
    text = tables_of(copied)["wallclock.md"]
    machines = "times of different or unknown machines: R+L2 (nfw)."
    row = row_of(text, "R+L2", "nfw")
    assert row[3].endswith("†") is not own_times_compare
    assert (row[4], row[6]) == ("—", "—")
    assert (f"† {machines}" in text) is not own_times_compare
    assert f"No ratio, {machines}" in text
    assert row_of(text, "R+L2", "flowpg")[4] not in ("", "—")
    ratios = read_table(copied, "wallclock").query("task == 'R+L2' and method == 'nfw' and unit == 'ratio'")
    assert set(ratios["interval"]) == {"none: different or unknown machines"}


# --- anchors ----------------------------------------------------------------------------------------------------------


def test_anchors_have_their_means_widths_and_gaps_and_no_method_moves_them(copied: Path) -> None:
    # Whole on one task, and of one seed on one side alone on the other.
    anchors = [("R+L2", "random-feasible", (-60.0, -50.0)), ("R+N", "ddpg-projection", (-10.0, -6.0))]
    for task, method, returns in (*anchors, ("HC+N", "ddpg-projection", (4000.0,))):
        save(copied, *(make_run_with_return(task, method, seed, value) for seed, value in enumerate(returns)))
    save(copied, *(make_run_with_return("R+L2", "hold", seed, value) for seed, value in enumerate((-32.0, -31.0))))
    texts = tables_of(copied)
    frame = pd.read_csv(copied / "tables/anchors.csv", dtype={"score": str})
    cells = frame.set_index(["task", "score", "quantity"])
    assert board_of(copied).scales["R+L2"] == (-55.0, -8.0)
    facts = cells.loc[("R+L2", "1", "final return"), ["mean", "measured on", "method", "n", "N", "steps", "seeds"]]
    assert facts.tolist() == [-8.0, "R+N", "ddpg-projection", 2, 2, STEPS, "0 1"]
    zero = cells.loc[("R+L2", "0", "final return")]
    assert (zero["low"], zero["high"]) == pytest.approx(stats.t.interval(0.95, 1, loc=-55.0, scale=5.0))
    assert zero["commits"] == "0123456789ab"
    # Widths are on the scale of the task.
    halves = [cells.loc[("R+L2", score, "half width"), "mean"] for score in ("0", "1")]
    assert halves == pytest.approx([stats.t.ppf(0.975, 1) * error / 47.0 for error in (5.0, 2.0)])
    single = cells.loc[("HC+O", "1", "final return")]
    assert (single["n"], single["interval"]) == (1, "none: one seed")
    rows = [line.split("|")[1:3] for line in texts["anchors.md"].splitlines() if line.startswith(("| R", "| H"))]
    scores = ["0", "1", "0.50"]
    assert [[cell.strip() for cell in row] for row in rows] == [*(["R+L2", score] for score in scores), ["HC+O", "1"]]
    assert row_of(texts["returns.md"], "R+L2", "hold")[2:4] == ["2/2", "-31.5 [-37.9, -25.1]"]
    assert "5 of 8 reference runs are complete, made at commit" in texts["README.md"]

    shutil.rmtree(copied / "runs/R+L2/nfw")
    tables_of(copied)
    pd.testing.assert_frame_equal(pd.read_csv(copied / "tables/anchors.csv", dtype={"score": str}), frame)


# --- coverage ---------------------------------------------------------------------------------------------------------


def test_coverage_is_of_the_seeds_of_the_selection(copied: Path) -> None:
    assert coverage_tables(board_of(copied)) == []
    found = {
        seed: StateCoverage(within_range=share, near=share / 2, valid=dict.fromkeys(TOLERANCE_KEYS, share))
        for seed, share in (("0", 0.8), ("1", 0.6), ("9", 0.0))
    }
    report = CoverageReport(task="HC+O", profile=PROFILE, draws=100, runs={"nfw": found})
    save(copied, report)
    frame = board_of(copied).coverage
    assert set(zip(frame["task"], frame["method"], strict=True)) == {("HC+O", "nfw")}
    means = frame.set_index(["quantity", "tolerance"])["mean"]
    assert means["valid there", 0.1] == pytest.approx(0.7)
    assert means["near"].item() == pytest.approx(0.35)
    assert row_of(tables_of(copied)["coverage.md"], "HC+O", "nfw")[3].startswith("70.00 [")
    report.model_copy(update={"profile": "paper"}).write(coverage_path(copied, "HC+O"))
    with pytest.raises(UserError, match="holds the coverage of"):
        board_of(copied)
