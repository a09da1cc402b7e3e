"""Samplers on sets of known size (E2, N2)."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.experiments.e2 import report_rows
from benchmark.experiments.n2 import cross_polytope, random_polytope
from benchmark.experiments.sampling import (
    PROBE,
    draw_integers,
    expected_seconds,
    integer_rejection_cost,
    probe,
    psdd_cost,
    rejection_cost,
    run_sampler,
)
from envs import make_task
from envs.constraints import Allocation
from envs.seeding import make_generator
from tests.benchmark.experiments.conftest import numbers

ALLOCATION = Allocation(90, np.zeros(3), np.full(3, 35.0))
# Standard errors that a share may be off: one in two million by chance.
SIGMAS = 5.0
NO_LIMIT = 1e9


def near(share: float, expected: float, proposals: float) -> bool:
    """Whether a share of so many proposals agrees with what is expected."""
    return abs(share - expected) <= SIGMAS * math.sqrt(expected * (1 - expected) / proposals)


def ones(count: int, width: int) -> torch.Tensor:
    return torch.ones((count, width), dtype=torch.float64)


# --- sets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dim", "share"), [(2, 0.1), (6, 0.5), (6, 0.01), (16, 0.1)])
def test_cross_polytopes_have_the_share_that_was_asked_for(dim: int, share: float) -> None:
    found, _ = probe(cross_polytope(dim, share), ones(1, dim), "action", make_generator(0, "share"))
    assert near(found, share, PROBE)


def test_a_polytope_agrees_with_cvxpy() -> None:
    polytope = random_polytope(3, 8, 0.4, make_generator(0, "cvxpy"))
    normals = torch.as_tensor(polytope.normals)
    assert torch.allclose(normals.norm(dim=1), torch.ones(8, dtype=torch.float64))
    assert not polytope.contains(0.41 * normals, ones(8, 0)).any()
    actions = 2 * torch.rand((20, 3), generator=make_generator(1, "cvxpy"), dtype=torch.float64) - 1
    near_by = polytope.project(actions, ones(20, 0))
    assert polytope.contains(near_by, ones(20, 0), 1e-6).all()
    inside = polytope.contains(actions, ones(20, 0))
    assert 0 < inside.sum() < 20
    assert torch.equal(torch.linalg.vector_norm(near_by - actions, dim=1) < 1e-4, inside)


# --- cost -------------------------------------------------------------------------------------------------------------


def test_rejection_accepts_the_share_of_the_box() -> None:
    box = cross_polytope(4, 0.1)
    found, note = rejection_cost(box, ones(5_000, 4), "action", NO_LIMIT, 0.1, make_generator(0, "rejection"))
    assert near(found["acceptance"], 0.1, 5_000 / found["acceptance"])
    assert found["samples_per_second"] == found["effective_per_second"] == pytest.approx(5_000 / found["seconds"])
    assert note == ""


def test_rejection_gives_up_and_says_what_it_would_cost() -> None:
    constraint, generator = cross_polytope(6, 1e-6), make_generator(0, "hopeless")
    found, note = rejection_cost(constraint, ones(1_000, 6), "action", 0.05, 1e-6, generator)
    assert note.startswith("given up at 0.05 s: expected")
    assert found["acceptance"] == 1e-6
    assert found["seconds"] > 0.05
    assert (expected_seconds(1_000, 0.5, 0.01), expected_seconds(1_000, 0.0, 0.01)) == (20, math.inf)
    _, note = integer_rejection_cost(ALLOCATION, 10**9, 136, True, 0.01, generator)
    assert note.startswith("given up at 0.01 s")


@pytest.mark.parametrize("plane", [True, False])
def test_whole_allocations_by_rejection(plane: bool) -> None:
    models, _ = psdd_cost(ALLOCATION, 500, make_generator(0, "psdd"))
    assert models == 136
    expected = models / 36 ** (2 if plane else 3)
    generator = make_generator(0, "whole", str(plane))
    found, _ = integer_rejection_cost(ALLOCATION, 2_000, models, plane, NO_LIMIT, generator)
    assert near(found["acceptance"], expected, 2_000 / expected)
    sizes = torch.full((2 if plane else 3,), 36.0, dtype=torch.float64)
    assert near(draw_integers(ALLOCATION, sizes, 100_000, generator) / 100_000, expected, 100_000)


# --- experiments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "area"), [("R+L2", 0.05), ("R+Ring", 0.03), ("R+2D", 0.07)])
def test_e2_accepts_the_ratio_of_areas(place: Path, task: str, area: float) -> None:
    found = numbers(place, "e2")
    rows = found[found["task"] == task].set_index(["sampler", "quantity"])["value"]
    expected = area * math.pi / 4
    # Two repeats of 1,000 samples.
    assert near(rows["rejection", "acceptance"], expected, 2_000 / expected)
    assert rows["rejection", "effective_per_second"] == rows["rejection", "samples_per_second"]
    assert rows["hmc", "effective_per_second"] <= 1.01 * rows["hmc", "samples_per_second"]
    assert rows["hmc", "rhat"] < 1.1


def test_e2_has_the_largest_r_hat_of_the_repeats() -> None:
    _, report = run_sampler(make_task("R+L2"), "hmc", 1_000, seed=0)
    reports = [report.model_copy(update={"rhat": rhat}) for rhat in (1.001, 1.04, None)]
    (row,) = (row for row in report_rows(reports) if row["quantity"] == "rhat")
    assert (row["value"], row["n"], row["N"]) == (1.04, 2, 3)


def test_n2_has_every_sampler_where_it_applies(place: Path) -> None:
    found = numbers(place, "n2")
    rates = found[found["quantity"] == "effective_per_second"].dropna(subset="value")
    assert (rates["value"] > 0).all()
    samplers = rates.groupby("sweep")["sampler"].agg(set).to_dict()
    assert samplers == {
        "dimension": {"rejection", "rejection-bounding", "hmc"},
        "tightness": {"rejection", "rejection-bounding", "hmc"},
        "number": {"rejection", "hmc"},
        "zones": {"rejection", "rejection-naive", "psdd"},
    }
    tight = rates[(rates["sweep"] == "tightness") & (rates["share"] == 1e-6) & (rates["sampler"] == "rejection")]
    assert tight["note"].str.startswith("given up").all()
    models = found[found["quantity"] == "models"].set_index("dimension")["value"]
    assert models.to_dict() == {3: 136, 5: 23_751}
