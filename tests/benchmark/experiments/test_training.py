"""Stretches of training against the totals of the runs (E3, N3)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.experiments.base import Context
from benchmark.experiments.e3 import stretches_of
from benchmark.records.results import TOLERANCES, Violations
from benchmark.records.selection import CompleteRun
from envs.errors import UserError
from tests.benchmark.experiments.conftest import FLOWS, PLAIN, TASKS, numbers
from tests.benchmark.synthetic_results import make_run


@st.composite
def runs(draw: st.DrawFn) -> CompleteRun:
    """A run of any length, warm-up and number of evaluations, whose violations are consistent."""
    counts = draw(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50)), min_size=1, max_size=30))
    warmup = draw(st.integers(0, 100))
    steps, violating, curve = 0, 0, {"step": list[float](), "violations/policy": list[float]()}
    for length, missed in counts:
        judged = max(steps + length - max(steps, warmup), 0)
        steps, violating = steps + length, violating + min(missed, judged)
        curve["step"].append(steps)
        curve["violations/policy"].append(violating)
    record = make_run(config={"steps": steps}, curves=curve, visited=[[0.0, float(k)] for k in range(min(steps, 200))])
    assert record.returns is not None
    assert record.violations is not None
    policy = record.violations.policy.model_copy(update={"n": max(steps - warmup, 0), "count": violating})
    violations = Violations(policy=policy, behaviour=policy, executed=policy)
    return CompleteRun(record, record.returns, violations, steps)


@given(run=runs(), most=st.one_of(st.none(), st.integers(1, 12)))
def test_stretches_cover_the_run_and_add_up_to_its_total(run: CompleteRun, most: int | None) -> None:
    found = stretches_of(run, most)
    assert [stretch.start for stretch in found] == [0, *(stretch.end for stretch in found[:-1])]
    assert found[-1].end == run.steps
    assert len(found) <= (most or len(run.record.curves["step"]))
    assert sum(stretch.violating for stretch in found) == run.violations.policy.count
    assert sum(stretch.judged for stretch in found) == run.violations.policy.n
    assert all(0 <= stretch.violating <= stretch.judged for stretch in found)
    bare = dataclasses.replace(run, record=run.record.model_copy(update={"curves": {}}))
    with pytest.raises(UserError, match="no curve of violations up to its last step: run it again"):
        stretches_of(bare, most)


@pytest.mark.parametrize("method", [*FLOWS, *PLAIN])
def test_e3_adds_up(place: Path, context: Context, method: str) -> None:
    (run,) = context.found.runs("R+L2", method)
    found = numbers(place, "e3")
    rows = found[found["method"] == method]
    (total,) = rows[rows["quantity"] == "violating in all"]["value"]
    assert total == run.violations.policy.count
    shares = rows[rows["quantity"] == "violating share in all"].set_index("tolerance")["value"]
    for tolerance in TOLERANCES:
        assert shares[tolerance] == pytest.approx(1 - run.violations.policy.valid_share[f"{tolerance:g}"])
    spoken = rows[rows["quantity"] == "violating share"].dropna(subset="value")
    judged = rows[rows["quantity"] == "judged"].set_index("to_step")["value"]
    assert sum(spoken["value"] * judged[spoken["to_step"]].to_numpy()) == pytest.approx(total)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("method", FLOWS)
def test_n3_has_the_policy_everywhere_and_states_where_they_matter(place: Path, task: str, method: str) -> None:
    found = numbers(place, "n3")
    rows = found[(found["task"] == task) & (found["method"] == method)]
    everywhere = {"policy", "visited", "fresh test set", "last minus first"}
    assert set(rows["states"]) == ({"policy"} if task == "R+L2" else everywhere)
    for _, same in rows[rows["quantity"] == "valid share"].groupby("states"):
        # Validity only rises with the tolerance.
        by_tolerance = same.pivot(index="to", columns="tolerance", values="value")
        assert (by_tolerance.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)
    if task != "R+L2":
        visited = rows[rows["states"] == "visited"]
        # The first third is warm-up.
        assert sorted(visited["to"].unique()) == pytest.approx([2 / 3, 1], abs=1e-5)
        assert visited[visited["quantity"] == "states"]["value"].tolist() == [40, 50]
        first, last = visited[visited["tolerance"] == 0].sort_values("to")["value"]
        assert rows[rows["states"] == "last minus first"]["value"].tolist() == pytest.approx([last - first])
