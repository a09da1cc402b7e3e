"""Worlds with known effects give the verdicts that docs/claims.md promises, and the page and the CSV say them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from benchmark.analysis.claims import evaluate_claims
from benchmark.analysis.claims.rule import Claim, Finding, Reading
from benchmark.analysis.statistics import point
from benchmark.publishing.claims import WHY, effect_rows, verdict_rows, write_claims
from benchmark.records.reports import LATENTS
from benchmark.records.results import TOLERANCE_KEYS, TOLERANCES
from tests.benchmark import synthetic_claims as synthetic
from tests.benchmark.synthetic_claims import BASELINES, FLOW, METHODS, QP, TASKS, UNTESTABLE, World, reading
from tests.benchmark.synthetic_results import make_visited

EQUALITY = ("BSS-3", "BSS-5")
FREE = tuple(task for task in TASKS if task not in EQUALITY)


def outcomes(claim: Claim, name: str) -> dict[str, str]:
    return {finding.task: finding.outcome for finding in reading(claim, name).findings}


def reasons(claim: Claim, name: str) -> set[str]:
    return {finding.why for finding in reading(claim, name).findings if finding.outcome == "open"}


def verdicts(claims: dict[str, Claim], *ids: str) -> set[str]:
    return {claims[id_].verdict for id_ in ids or claims}


# --- the rule ---------------------------------------------------------------------------------------------------------

OUTCOMES = {"reproduced": ["supported"], "partly": ["supported", "open"], "not reproduced": ["contradicted"]}


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (["reproduced", "reproduced"], "reproduced"),
        (["reproduced", "not reproduced"], "partly"),
        (["reproduced", UNTESTABLE], "partly"),
        (["partly", UNTESTABLE, "not reproduced"], "partly"),
        (["not reproduced", UNTESTABLE], "not reproduced"),
        ([UNTESTABLE, UNTESTABLE], UNTESTABLE),
    ],
)
def test_the_verdict_is_the_best_of_mixed_readings(found: list[str], verdict: str) -> None:
    for order in (found, found[::-1]):
        readings = [
            Reading(
                name="",
                keys={},
                column="",
                findings=tuple(
                    Finding("R+L2", point(0.0, 3), 1.0, outcome, "", 3, "ratio")  # type: ignore[arg-type]
                    for outcome in OUTCOMES.get(one, ["open"])
                ),
                up_to=False,
                decides=True,
            )
            for one in order
        ]
        assert [reading.verdict for reading in readings] == order
        idle = Reading("", {}, "", (), up_to=False, decides=False)
        assert Claim("C0", "", "", "", (*readings, idle)).verdict == verdict


# --- all claims -------------------------------------------------------------------------------------------------------


def test_a_world_as_the_paper_says_reproduces_every_claim(tmp_path: Path) -> None:
    synthetic.write_experiments(tmp_path)
    claims = World().claims(tmp_path)
    assert list(claims) == ["C1", "C2", "C3", "C4", "C5", "C6"]
    assert verdicts(claims) == {"reproduced"}
    assert claims["C4"].reason == "comparisons: 60 supported, 0 contradicted, 0 open"
    # Where nothing is open there is no column that says why.
    assert all(
        WHY not in row for row in [*effect_rows(claims["C4"], claims["C4"].readings), *verdict_rows(claims["C4"])]
    )


def test_a_world_against_the_paper_reproduces_none(tmp_path: Path) -> None:
    world = World(validity=dict.fromkeys(TASKS, 0.99))
    world.change(
        [FLOW], missed=(1500, 1540, 1475), seconds=(300.0, 303.0, 298.0), valid=0.99, returns=(50.0, 50.5, 49.6)
    )
    synthetic.write_experiment(tmp_path, "e2", synthetic.circle_rows(900.0))
    synthetic.write_experiment(tmp_path, "n2", synthetic.growth_rows(100.0))
    synthetic.write_experiment(tmp_path, "c6", synthetic.gradient_rows((0.2, 0.1, 0.3), (0.0,)))
    assert verdicts(world.claims(tmp_path)) == {"not reproduced"}


def test_without_runs_nothing_is_testable() -> None:
    claims = World(
        missing={(task, method, seed) for task in TASKS for method in METHODS for seed in (0, 1, 2)}
    ).claims()
    assert verdicts(claims, "C2", "C4") == {UNTESTABLE}
    assert "not run (R+L2" in claims["C2"].reason
    # The flows' own reports are there, and a training step is timed without the runs.
    assert (claims["C1"].verdict, claims["C3"].verdict) == ("partly", "reproduced")


def test_one_seed_decides_nothing_that_is_measured_over_seeds() -> None:
    claims = World(seeds=(0,)).claims()
    assert verdicts(claims, "C2", "C4") == {UNTESTABLE}
    assert claims["C2"].reason.endswith(f"open: fewer than two seeds ({', '.join(FREE)})")
    assert reading(claims["C1"], "trained policies at tolerance 0").verdict == UNTESTABLE
    assert reading(claims["C1"], "latents uniform at tolerance 0").verdict == "reproduced"


def test_a_missing_run_lowers_n_and_a_failed_one_keeps_the_task_open() -> None:
    claim = World(missing={("R+L2", FLOW, 2)}, failed={("HC+O", FLOW, 1)}).claims()["C4"]
    findings = {finding.task: finding for finding in reading(claim, "final policy against nfw").findings}
    assert (findings["R+L2"].effect.n, findings["R+L2"].wanted, findings["R+L2"].outcome) == (2, 3, "supported")
    assert (findings["HC+O"].outcome, findings["HC+O"].why) == ("open", "a run failed")
    assert claim.verdict == "partly"
    assert "a run failed (HC+O)" in claim.reason


def test_a_sentence_over_all_tasks_is_partly_reproduced_by_some() -> None:
    world = World().change([FLOW], FREE, seconds=(200.0, 202.0, 199.0), returns=(20.0, 20.4, 19.8))
    claims = world.claims()
    assert verdicts(claims, "C3", "C4") == {"partly"}
    assert outcomes(claims["C4"], "best policy against nfw") == {
        task: "supported" if task in EQUALITY else "contradicted" for task in TASKS
    }


def test_up_to_speaks_of_the_best_task_and_is_refuted_by_all_tasks_only() -> None:
    bad = {"missed": (3000, 3040, 2990), "valid": 0.5}
    world = World(validity={task: 0.5 if task != "H+M" else 0.99999 for task in TASKS})
    world.change([FLOW], [task for task in TASKS if task != "H+M"], **bad)
    assert verdicts(world.claims(), "C1", "C2") == {"reproduced"}
    world = World(tasks=TASKS[1:], validity=dict.fromkeys(TASKS, 0.5)).change([FLOW], **bad)
    assert verdicts(world.claims(), "C1", "C2") == {UNTESTABLE}
    world.tasks = TASKS
    assert verdicts(world.claims(), "C1", "C2") == {"not reproduced"}


@pytest.mark.parametrize("budget", [0.5, 0.005])
def test_returns_need_the_published_budget(budget: float) -> None:
    claims = World(budget=budget).claims()
    assert claims["C4"].verdict == UNTESTABLE
    assert claims["C2"].verdict == ("reproduced" if budget > 0.1 else UNTESTABLE)
    assert {row[WHY] for row in effect_rows(claims["C4"], claims["C4"].readings)} == {"less than the published steps"}
    assert all("less than the published steps (" in str(row[WHY]) for row in verdict_rows(claims["C4"]))


# --- C1 and C2: tolerances, zeros, what does not count ----------------------------------------------------------------


def test_verdicts_depend_on_the_tolerance() -> None:
    valid = {tol: 0.9 if tol < 1e-2 else 0.99999 for tol in TOLERANCES}
    missed = {tol: (2000, 2050, 1980) if tol < 1e-2 else (20, 21, 20) for tol in TOLERANCES}
    claims = World(validity=dict.fromkeys(TASKS, valid)).change([FLOW], missed=missed, valid=valid).claims()
    for tolerance in TOLERANCES:
        names = {"C1": ("latents uniform", "trained policies"), "C2": ("against nfw",)}
        found = {
            reading(claims[id_], f"{one} at tolerance {tolerance:g}").verdict for id_ in names for one in names[id_]
        }
        assert found == {"not reproduced" if tolerance < 1e-2 else "reproduced"}
    assert verdicts(claims, "C1", "C2") == {"partly"}
    by_verdict = "reproduced: latents uniform at tolerance 0.1, trained policies at tolerance 0.1;"
    assert claims["C1"].reason.startswith(by_verdict)


def test_other_flows_and_boundary_latents_have_no_say() -> None:
    claim = World().change(["flowpg-spline"], valid=0.1).claims()["C1"]
    assert claim.verdict == "reproduced"
    deciding = {tuple(one.keys.values()) for one in claim.deciding}
    assert deciding == {(FLOW, "sampled", "uniform"), (FLOW, "visited", "policy")}
    assert reading(claim, "sampled boundary at tolerance 0").verdict == "not reproduced"
    spline = [one for one in claim.readings if one.keys["flow"] == "flowpg-spline" and one.keys["latents"] == "policy"]
    assert {one.verdict for one in spline} == {"not reproduced"}


def test_at_visited_states_a_flow_has_an_interval_over_policies() -> None:
    found, shares = World().found(), (0.8, 0.9, 0.85)
    by_seed = {
        str(seed): dict.fromkeys(LATENTS, dict.fromkeys(TOLERANCE_KEYS, share)) for seed, share in enumerate(shares)
    }
    found.visited["HC+O", FLOW] = make_visited("HC+O", FLOW, draws=1_000_000, validity=by_seed)
    claims = {claim.id: claim for claim in evaluate_claims(found, Path("no-experiments")).all}
    (effect,) = [
        one.effect for one in reading(claims["C1"], "visited uniform at tolerance 0").findings if one.task == "HC+O"
    ]
    low, high = scipy.stats.t.interval(0.95, 2, np.mean(shares), scipy.stats.sem(shares))
    assert (effect.mean, effect.low, effect.high) == pytest.approx((0.85, low, high))
    assert effect.n == 3


def test_a_flow_trained_briefly_can_speak_for_the_paper_but_not_against_it() -> None:
    validity = {task: 0.99999 if task == "R+L2" else 0.5 for task in TASKS}
    claim = World(updates=5_000, validity=dict(validity)).claims()["C1"]
    name = "latents uniform at tolerance 0"
    assert outcomes(claim, name) == {task: "supported" if task == "R+L2" else "open" for task in TASKS}
    assert reasons(claim, name) == {"less than 10% of the published updates"}
    world = (
        World(updates=5_000).change([FLOW], FREE, missed=(3000, 3040, 2990)).change([FLOW], ["R+L2"], missed=(1, 1, 1))
    )
    claim = world.claims()["C2"]
    name = "against nfw at tolerance 0"
    assert {outcomes(claim, name)[task] for task in FREE} == {"supported", "open"}
    assert reasons(claim, name) == {"less than 10% of the published updates"}


def test_tasks_with_an_equality_are_shown_but_do_not_count() -> None:
    claim = World().change([FLOW], FREE, missed=(3000, 3040, 2990)).claims()["C2"]
    assert claim.verdict == "not reproduced"
    assert outcomes(claim, "against nfw at tolerance 0") == {
        task: "not counted" if task in EQUALITY else "contradicted" for task in TASKS
    }


@pytest.mark.parametrize(
    ("flow", "baseline", "expected"),
    [
        ((0, 0, 0), (3000, 3080, 2950), "supported"),
        ((0, 0, 0), (2, 1, 3), "open"),
        ((0, 0, 0), (0, 0, 0), "open"),
        ((3000, 3080, 2950), (0, 0, 0), "contradicted"),
        # One seed of the flow is as bad as the baseline: no interval of three seeds could hide it.
        ((0, 0, 3000), (3000, 3080, 2950), "open"),
    ],
)
def test_seeds_without_violations(flow: tuple[int, ...], baseline: tuple[int, ...], expected: str) -> None:
    claim = World().change([FLOW], missed=flow).change(BASELINES, missed=baseline).claims()["C2"]
    assert {outcomes(claim, "against nfw at tolerance 0")[task] for task in FREE} == {expected}


# --- C3: variants, timing --------------------------------------------------------------------------------------------

BARE, WHOLE = f"{QP}, without the flow's training", f"{QP}, with the flow's training"


def test_the_four_variants_of_wall_clock() -> None:
    # Neither the budget of the runs nor whether they are there has a bearing.
    world = World(budget=0.01, missing={("R+L2", QP, seed) for seed in (0, 1, 2)})
    world.change([FLOW], prepare=100.0).change(["ddpg-projection"], seconds=(150.0, 151.0, 149.0))
    claim = world.claims()["C3"]
    assert {one.name: one.verdict for one in claim.readings} == {
        BARE: "reproduced",
        WHOLE: "not reproduced",
        "ddpg-projection, without the flow's training": "not reproduced",
        "ddpg-projection, with the flow's training": "not reproduced",
    }
    assert claim.verdict == "partly"


def test_a_flow_that_is_trained_little_cannot_speak_for_the_claim() -> None:
    world = World(updates=3_000)
    claim = world.claims()["C3"]
    assert (reading(claim, BARE).verdict, reading(claim, WHOLE).verdict) == ("reproduced", UNTESTABLE)
    assert reasons(claim, WHOLE) == {"less than 10% of the published updates"}
    # More training would only make it slower.
    world.change([FLOW], prepare=100.0)
    assert reading(world.claims()["C3"], WHOLE).verdict == "not reproduced"


def test_what_was_timed_badly_decides_nothing() -> None:
    busy, untimed = World(busy_cores=0.5).claims()["C3"], World(untimed=set(TASKS)).claims()["C3"]
    assert busy.verdict == untimed.verdict == UNTESTABLE
    assert reasons(busy, BARE) == {"the machine was busy with other work"}
    assert reasons(untimed, BARE) == reasons(untimed, WHOLE) == {"not timed"}
    for machine in ("1" * 12, None):
        elsewhere = World().change([FLOW], machine=machine).claims()["C3"]
        assert (reading(elsewhere, BARE).verdict, reading(elsewhere, WHOLE).verdict) == ("reproduced", UNTESTABLE)
        assert reasons(elsewhere, WHOLE) == {"the flow was trained on another or an unknown machine"}
        # However long it took there, a slower step is a slower training.
        slower = World().change([FLOW], machine=machine, seconds=(300.0, 301.0, 299.0)).claims()["C3"]
        assert reading(slower, WHOLE).verdict == "not reproduced"


# --- C4: the margin ---------------------------------------------------------------------------------------------------


def test_as_good_is_within_a_twentieth_of_the_rise_of_final_and_of_best_policies_apart() -> None:
    # The baselines rise from -100 to 100, so the margin is 10.
    world = (
        World()
        .change([FLOW], returns=(94.0, 94.5, 93.6), best=(120.0, 120.4, 119.7))
        .change([FLOW], TASKS[:1], returns=(80.0, 80.5, 79.6))
    )
    claim = world.claims()["C4"]
    assert reading(claim, "best policy against nfw").verdict == "reproduced"
    findings = reading(claim, "final policy against nfw").findings
    assert [finding.threshold for finding in findings] == pytest.approx([-0.05 * (100 + 0.2 / 3 + 100)] * 6)
    assert [finding.outcome for finding in findings] == ["contradicted", *["supported"] * 5]


def test_a_task_on_which_nobody_rose_has_no_scale() -> None:
    claim = World().change([FLOW, *BASELINES], TASKS[:1], first=500.0).claims()["C4"]
    first = reading(claim, "final policy against nfw").findings[0]
    assert (first.outcome, first.threshold) == ("open", None)
    assert first.why == "no method improved, so there is no scale"


# --- what is written --------------------------------------------------------------------------------------------------


def test_the_page_and_the_csv_have_every_claim_and_say_how_its_verdict_came_about(tmp_path: Path) -> None:
    synthetic.write_experiments(tmp_path)
    page_path, csv_path = write_claims(World(tasks=TASKS[:2]).evaluate(tmp_path), tmp_path)
    table, page = pd.read_csv(csv_path), page_path.read_text()
    ids = ["C1", "C2", "C3", "C4", "C5", "C6"]
    assert sorted(set(table["claim"])) == ids
    assert not table.duplicated(["claim", "row", "column", "task"]).any()
    row = table[(table["reading"] == WHOLE) & (table["task"] == "R+L2")].iloc[0]
    assert (row["n"], row["N"], row["budget"], row["published"]) == (3, 3, 195_300, 195_300)
    assert (row["solver"], row["outcome"], row["reading_verdict"]) == ("cvxpy", "supported", "partly")
    assert 2 < row["low"] < row["effect"] < row["high"]
    lines = page.splitlines()
    for id_ in ids:
        assert [sum(line.startswith(f"{mark} {id_} ") for line in lines) for mark in ("|", "##")] == [1, 1]
    assert page.count("### The rule applied") == 6
    assert "3,000; 3,080; 2,950" in page
    assert "not run (H+M, W+M, BSS-3, BSS-5)" in page
    for above, line in itertools.pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.count("|") == line.count("|")
