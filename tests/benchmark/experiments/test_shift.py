"""The circle (E1) and changed constraints (N1), where answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from benchmark.experiments.base import Context
from benchmark.experiments.e1 import CELLS, cells_of, evenness
from benchmark.experiments.n1 import recall_row, threshold_of, with_threshold
from benchmark.records.reports import FlowReport, report_path
from benchmark.records.results import read_record
from envs import make_task
from envs.constraints import Ball
from envs.errors import UserError
from envs.sampling.dataset import embed
from envs.seeding import make_generator
from tests.benchmark.experiments.conftest import FLOWS, numbers

DISC = Ball(0.05, [-1.0, -1.0], [1.0, 1.0])


# --- E1 ---------------------------------------------------------------------------------------------------------------


def test_cells_have_equal_area() -> None:
    actions = DISC.sample(torch.empty((20_000, 0), dtype=torch.float64), make_generator(0, "cells"))
    counts = np.bincount(cells_of(actions, DISC.radius_squared).numpy(), minlength=CELLS)
    assert len(counts) == CELLS
    assert stats.chisquare(counts).pvalue > 0.01


def test_evenness_of_known_draws() -> None:
    one = torch.tensor([[0.1, 0.05]]).expand(80, 2)
    found = {row["quantity"]: row["value"] for row in evenness(one, DISC.radius_squared)}
    assert found["total variation"] == pytest.approx(7 / 8)
    assert found["chi-square"] == pytest.approx(80 * 7)
    angle = (torch.arange(4) + 0.5) * torch.pi / 2
    ring = torch.stack([angle.cos(), angle.sin()], dim=1)
    each = torch.cat([0.1 * ring, 0.2 * ring])
    found = {row["quantity"]: row["value"] for row in evenness(each, DISC.radius_squared)}
    assert found["total variation"] == found["chi-square"] == 0
    assert list(evenness(each[:0], DISC.radius_squared)) == []


@pytest.mark.parametrize("flow", FLOWS)
def test_e1_agrees_with_the_report_on_the_flow(place: Path, flow: str) -> None:
    report = read_record(report_path(place / "results/smoke", flow, "R+L2"), FlowReport)
    found = numbers(place, "e1")
    rows = found[found["flow"] == flow]
    assert rows[rows["quantity"] == "recall"]["value"].tolist() == [report.recall]


# --- N1 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["R+L2", "HC+O", "H+M", "BSS-3"])
def test_larger_thresholds_give_larger_sets(task: str) -> None:
    constraint = make_task(task).constraint
    assert threshold_of(constraint) is not None
    context = 5 * torch.randn((500, len(constraint.context_indices)), generator=make_generator(0, task))
    obs = embed(constraint, context.double())
    actions = constraint.sample(obs, make_generator(1, task))
    same, larger = with_threshold(constraint, 1.0), with_threshold(constraint, 2.0)
    assert same is not None
    assert larger is not None
    assert torch.equal(same.violation(actions, obs), constraint.violation(actions, obs))
    assert larger.contains(actions, obs).all()
    wide = larger.sample(obs, make_generator(2, task))
    assert 0 < constraint.contains(wide, obs).double().mean() < 1


def test_thresholds_that_cannot_be_changed() -> None:
    assert threshold_of(make_task("R+N").constraint) is None
    assert with_threshold(make_task("R+N").constraint, 2.0) is None
    with pytest.raises(UserError, match="total is 90"):
        with_threshold(make_task("BSS-3").constraint, 0.8)


def test_a_gauge_flow_reaches_its_share_of_a_larger_disc_and_all_with_the_new_gauge(place: Path) -> None:
    found = numbers(place, "n1")
    gauge = found[(found["method"] == "flowpg-gauge") & (found["states"] == "sampled")]
    old, new = (gauge[gauge["variant"] == variant] for variant in ("as trained", "gauge of the new set"))
    # The old disc is all that a gauge flow reaches: the ratio of areas, of 500 actions.
    recall = old[(old["task"] == "R+L2") & (old["quantity"] == "recall")].set_index("factor")["value"]
    for factor, share in recall.items():
        assert share == pytest.approx(min(1 / float(str(factor)), 1), abs=0.07)
    assert (new[(new["task"] == "R+L2") & (new["quantity"] == "recall")]["value"] > 0.99).all()
    assert (new[new["quantity"] == "valid share"]["value"] == 1).all()
    valid = old[(old["quantity"] == "valid share") & (old["tolerance"] == 0)]
    assert ((valid["value"] == 1) == (valid["factor"] >= 1)).all()


def test_states_of_other_policies_are_given_where_they_matter(place: Path) -> None:
    found = numbers(place, "n1")
    foreign = found[found["states"] != "sampled"]
    assert set(foreign["task"]) == {"R+O10"}
    assert set(foreign["states"]) == {*FLOWS, "ddpg-projection", "nfw"}
    assert (foreign[foreign["method"] == "flowpg-gauge"]["value"] == 1).all()


def test_spline_flows_do_not_claim_what_they_cannot_reach(context: Context) -> None:
    flow = context.flow_method(make_task("R+L2"), "flowpg-spline").trained_flow()
    far = torch.tensor([[0.9, 0.9], [-0.5, 0.3]], dtype=torch.float64)
    assert (flow.inverse(far.float(), torch.empty((2, 0)))[0].abs() > 1).any(dim=1).all()
    assert recall_row(flow, far, torch.empty((2, 0)))["value"] == 0
