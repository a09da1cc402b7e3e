"""Worlds with known effects give the verdicts that docs/claims.md promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.analysis.claims.rule import Claim, Finding
from benchmark.publishing.claims import WHY, Row, effect_rows, verdict_rows
from benchmark.records.results import TOLERANCES
from tests.benchmark.synthetic_claims import (
    BASELINES,
    FLOW,
    METHODS,
    QP,
    TASKS,
    World,
    circle_rows,
    gradient_rows,
    growth_rows,
    reading,
    write_experiment,
    write_experiments,
)

UNTESTABLE = "not testable at this budget"
EQUALITY = ("BSS-3", "BSS-5")
FREE = tuple(task for task in TASKS if task not in EQUALITY)


def outcomes(claim: Claim, name: str) -> dict[str, str]:
    return {finding.task: finding.outcome for finding in reading(claim, name).findings}


def reasons(claim: Claim, name: str) -> set[str]:
    return {finding.why for finding in reading(claim, name).findings if finding.outcome == "open"}


# --- all claims -------------------------------------------------------------------------------------------------------


def test_a_world_as_the_paper_says_reproduces_every_claim(tmp_path: Path) -> None:
    world = World()
    write_experiments(tmp_path)
    claims = world.claims(tmp_path)
    assert {id_: claim.verdict for id_, claim in claims.items()} == dict.fromkeys(claims, "reproduced")
    assert list(claims) == ["C1", "C2", "C3", "C4", "C5", "C6"]
    assert claims["C4"].reason == "comparisons: 36 supported, 0 contradicted, 0 open"


def test_a_world_against_the_paper_reproduces_none(tmp_path: Path) -> None:
    world = World(validity=dict.fromkeys(TASKS, 0.99))
    world.change(
        [FLOW], missed=(1500, 1540, 1475), seconds=(300.0, 303.0, 298.0), valid=0.99, returns=(50.0, 50.5, 49.6)
    )
    write_experiment(tmp_path, "e2", circle_rows(900.0))
    write_experiment(tmp_path, "n2", growth_rows(100.0))
    write_experiment(tmp_path, "c6", gradient_rows((0.2, 0.1, 0.3), (0.4, 0.3, 0.5)))
    claims = world.claims(tmp_path)
    assert {id_: claim.verdict for id_, claim in claims.items()} == dict.fromkeys(claims, "not reproduced")


def test_overlapping_intervals_leave_everything_open() -> None:
    world = World(validity=dict.fromkeys(TASKS, 0.9998))
    world.change(
        [FLOW],
        missed=(20, 300, 4000),
        seconds=(50.0, 150.0, 400.0),
        valid=0.9998,
        returns=(0.0, 150.0, 90.0),
    )
    claims = world.claims()
    for id_ in ("C1", "C2", "C3", "C4"):
        assert claims[id_].verdict == UNTESTABLE
        assert "the interval holds the threshold" in claims[id_].reason


def test_open_cells_have_their_reason_beside_them() -> None:
    world = World(budget=0.5)
    claim = world.claims()["C4"]
    for row in effect_rows(claim, claim.readings):
        assert row[WHY] == ("less than the published steps" if any_open(row) else "")
    assert all("less than the published steps (" in str(row[WHY]) for row in verdict_rows(claim))
    # Where nothing is open there is no such column.
    done = World().claims()["C4"]
    assert all(WHY not in row for row in [*effect_rows(done, done.readings), *verdict_rows(done)])


def any_open(row: Row) -> bool:
    return any(isinstance(cell, Finding) and cell.outcome == "open" for cell in row.values())


def test_without_runs_nothing_is_testable() -> None:
    world = World(missing={(task, method, seed) for task in TASKS for method in METHODS for seed in (0, 1, 2)})
    claims = world.claims()
    for id_ in ("C2", "C4"):
        assert claims[id_].verdict == UNTESTABLE
        assert "not run (R+L2" in claims[id_].reason
    # The flows' own reports are there, and a training step is timed without the runs.
    assert claims["C1"].verdict == "partly"
    assert claims["C3"].verdict == "reproduced"


def test_one_seed_decides_nothing_that_is_measured_over_seeds() -> None:
    claims = World(seeds=(0,)).claims()
    for id_ in ("C2", "C4"):
        assert claims[id_].verdict == UNTESTABLE
        assert claims[id_].reason.endswith(f"open: fewer than two seeds ({', '.join(FREE if id_ == 'C2' else TASKS)})")
    assert reading(claims["C1"], "trained policies at tolerance 0").verdict == UNTESTABLE
    assert reading(claims["C1"], "latents uniform at tolerance 0").verdict == "reproduced"


def test_a_missing_run_lowers_n_and_a_failed_one_keeps_the_task_open() -> None:
    world = World(missing={("R+L2", FLOW, 2)}, failed={("HC+O", FLOW, 1)})
    claims = world.claims()
    findings = {finding.task: finding for finding in reading(claims["C4"], "final policy against nfw").findings}
    assert (findings["R+L2"].effect.n, findings["R+L2"].wanted) == (2, 3)
    assert findings["R+L2"].outcome == "supported"
    assert (findings["HC+O"].outcome, findings["HC+O"].why) == ("open", "a run failed")
    assert claims["C4"].verdict == "partly"
    assert "a run failed (HC+O)" in claims["C4"].reason


def test_a_sentence_over_all_tasks_is_partly_reproduced_by_some() -> None:
    world = World().change([FLOW], FREE, seconds=(200.0, 202.0, 199.0), returns=(20.0, 20.4, 19.8))
    claims = world.claims()
    assert claims["C3"].verdict == claims["C4"].verdict == "partly"
    assert outcomes(claims["C4"], "best policy against nfw") == {
        task: "supported" if task in EQUALITY else "contradicted" for task in TASKS
    }


def test_up_to_speaks_of_the_best_task() -> None:
    world = World(validity={task: 0.5 if task != "H+M" else 0.99999 for task in TASKS})
    others = [task for task in TASKS if task != "H+M"]
    world.change([FLOW], others, missed=(3000, 3040, 2990), valid=0.5)
    claims = world.claims()
    assert claims["C1"].verdict == claims["C2"].verdict == "reproduced"


def test_up_to_is_refuted_by_all_tasks_only() -> None:
    bad: dict[str, float] = dict.fromkeys(TASKS, 0.5)
    world = World(tasks=TASKS[1:], validity=dict(bad)).change([FLOW], missed=(3000, 3040, 2990), valid=0.5)
    claims = world.claims()
    assert claims["C1"].verdict == claims["C2"].verdict == UNTESTABLE
    world.tasks = TASKS
    claims = world.claims()
    assert claims["C1"].verdict == claims["C2"].verdict == "not reproduced"


@pytest.mark.parametrize("budget", [0.5, 0.005])
def test_returns_need_the_published_budget(budget: float) -> None:
    claims = World(budget=budget).claims()
    assert claims["C4"].verdict == UNTESTABLE
    assert "less than the published steps" in claims["C4"].reason
    expected = "reproduced" if budget > 0.1 else UNTESTABLE
    assert claims["C2"].verdict == expected


# --- C1 and C2: tolerances, zeros, what does not count ----------------------------------------------------------------


def test_verdicts_depend_on_the_tolerance() -> None:
    valid = {tol: 0.9 if tol < 1e-2 else 0.99999 for tol in TOLERANCES}
    missed = {tol: (2000, 2050, 1980) if tol < 1e-2 else (20, 21, 20) for tol in TOLERANCES}
    world = World(validity=dict.fromkeys(TASKS, valid)).change([FLOW], missed=missed, valid=valid)
    claims = world.claims()
    for tolerance in TOLERANCES:
        expected = "not reproduced" if tolerance < 1e-2 else "reproduced"
        assert reading(claims["C1"], f"latents uniform at tolerance {tolerance:g}").verdict == expected
        assert reading(claims["C1"], f"trained policies at tolerance {tolerance:g}").verdict == expected
        assert reading(claims["C2"], f"against nfw at tolerance {tolerance:g}").verdict == expected
    assert claims["C1"].verdict == claims["C2"].verdict == "partly"
    assert claims["C1"].reason.startswith(
        "reproduced: latents uniform at tolerance 0.1, trained policies at tolerance 0.1;"
    )


def test_other_flows_and_boundary_latents_have_no_say() -> None:
    world = World().change(["flowpg-spline"], valid=0.1)
    claim = world.claims()["C1"]
    assert claim.verdict == "reproduced"
    assert {tuple(one.keys.values()) for one in claim.deciding} == {
        (FLOW, "sampled", "uniform"),
        (FLOW, "visited", "policy"),
    }
    assert reading(claim, "sampled boundary at tolerance 0").verdict == "not reproduced"
    spline = [one for one in claim.readings if one.keys["flow"] == "flowpg-spline" and one.keys["latents"] == "policy"]
    assert {one.verdict for one in spline} == {"not reproduced"}


def test_a_flow_trained_briefly_can_speak_for_the_paper_but_not_against_it() -> None:
    validity: dict[str, float] = dict.fromkeys(TASKS, 0.5) | {"R+L2": 0.99999}
    claim = World(updates=5_000, validity=dict(validity)).claims()["C1"]
    name = "latents uniform at tolerance 0"
    assert outcomes(claim, name) == {task: "supported" if task == "R+L2" else "open" for task in TASKS}
    assert reasons(claim, name) == {"less than 10% of the published updates"}


def test_too_few_draws_reach_no_such_share() -> None:
    world = World().change([FLOW], valid=1.0)
    claim = world.claims()["C1"]
    # All seeds equal: the exact interval of all outputs, 900,000 without a miss.
    (finding, *_) = reading(claim, "trained policies at tolerance 0").findings
    assert finding.outcome == "supported"
    assert finding.effect.low == pytest.approx(0.025 ** (1 / 900_000), abs=1e-12)


def test_tasks_with_an_equality_are_shown_but_do_not_count() -> None:
    world = World().change([FLOW], FREE, missed=(3000, 3040, 2990))
    claim = world.claims()["C2"]
    assert claim.verdict == "not reproduced"
    assert outcomes(claim, "against nfw at tolerance 0") == {
        task: "not counted" if task in EQUALITY else "contradicted" for task in TASKS
    }


def test_each_baseline_is_a_reading_of_its_own() -> None:
    claim = World().change(["nfw"], missed=(110, 112, 108)).claims()["C2"]
    assert claim.verdict == "partly"
    assert {one.keys["baseline"] for one in claim.deciding if one.verdict == "not reproduced"} == {"nfw"}


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
    world = World().change([FLOW], missed=flow).change(BASELINES, missed=baseline)
    claim = world.claims()["C2"]
    assert {outcomes(claim, "against nfw at tolerance 0")[task] for task in FREE} == {expected}


# --- C3: variants, timing --------------------------------------------------------------------------------------------

BARE, WHOLE = f"{QP}, without the flow's training", f"{QP}, with the flow's training"


def test_the_four_variants_of_wall_clock() -> None:
    world = World().change([FLOW], prepare=100.0).change(["ddpg-projection"], seconds=(150.0, 151.0, 149.0))
    claim = world.claims()["C3"]
    verdicts = {one.name: one.verdict for one in claim.readings}
    assert verdicts == {
        BARE: "reproduced",
        WHOLE: "not reproduced",
        "ddpg-projection, without the flow's training": "not reproduced",
        "ddpg-projection, with the flow's training": "not reproduced",
    }
    assert claim.verdict == "partly"


def test_a_flow_that_is_trained_little_cannot_speak_for_the_claim() -> None:
    world = World(updates=3_000)
    claim = world.claims()["C3"]
    assert reading(claim, BARE).verdict == "reproduced"
    assert reading(claim, WHOLE).verdict == UNTESTABLE
    assert reasons(claim, WHOLE) == {"less than 10% of the published updates"}
    # More training would only make it slower.
    world.change([FLOW], prepare=100.0)
    assert reading(world.claims()["C3"], WHOLE).verdict == "not reproduced"


def test_the_runs_budget_and_their_wall_clock_have_no_bearing() -> None:
    world = World(budget=0.01, missing={("R+L2", QP, seed) for seed in (0, 1, 2)})
    assert world.claims()["C3"].verdict == "reproduced"


def test_times_taken_on_a_busy_machine_decide_nothing() -> None:
    claim = World(busy_cores=0.5).claims()["C3"]
    assert claim.verdict == UNTESTABLE
    assert reasons(claim, BARE) == {"the machine was busy with other work"}


def test_what_was_not_timed_is_open() -> None:
    claim = World(untimed=set(TASKS)).claims()["C3"]
    assert claim.verdict == UNTESTABLE
    assert reasons(claim, BARE) == reasons(claim, WHOLE) == {"not timed"}


def test_a_flow_trained_on_another_machine_leaves_its_cost_open() -> None:
    claims = World().change([FLOW], machine="Another CPU").claims()
    assert reading(claims["C3"], BARE).verdict == "reproduced"
    assert reasons(claims["C3"], WHOLE) == {"the flow was trained on another machine"}


# --- C4: the margin ---------------------------------------------------------------------------------------------------


def test_as_good_is_within_a_twentieth_of_the_rise() -> None:
    # The baselines rise from -100 to 100, so the margin is 10.
    world = World().change([FLOW], returns=(94.0, 94.5, 93.6)).change([FLOW], TASKS[:1], returns=(80.0, 80.5, 79.6))
    claim = world.claims()["C4"]
    findings = reading(claim, "final policy against nfw").findings
    assert [finding.threshold for finding in findings] == pytest.approx([-0.05 * (100 + 0.2 / 3 + 100)] * 6)
    assert [finding.outcome for finding in findings] == ["contradicted", *["supported"] * 5]


def test_best_and_final_policies_are_judged_apart() -> None:
    world = World().change([FLOW], returns=(20.0, 20.5, 19.6), best=(120.0, 120.4, 119.7))
    claim = world.claims()["C4"]
    by_policy = {name: reading(claim, f"{name} policy against nfw").verdict for name in ("final", "best")}
    assert by_policy == {"final": "not reproduced", "best": "reproduced"}
    assert claim.verdict == "partly"


def test_a_task_on_which_nobody_rose_has_no_scale() -> None:
    world = World().change([FLOW, *BASELINES], TASKS[:1], first=500.0)
    findings = reading(world.claims()["C4"], "final policy against nfw").findings
    assert (findings[0].outcome, findings[0].threshold) == ("open", None)
    assert findings[0].why == "no method rose, so that there is no scale"
