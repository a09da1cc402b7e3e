"""N2: what the three samplers cost as the constraint grows in dimension, tightness and number of half-spaces.

Dimension and tightness: ``sum |a_i| <= b`` within [-1, 1]^n, with b chosen for the feasible share of the box. Number:
random faces at the same distance from 0, whose feasible share is estimated. Zones: whole allocations.

``rejection`` draws from the action box, or all zones but the last, which follows from the total; ``rejection-bounding``
draws from the smallest box around the set, and ``rejection-naive`` draws every zone. The time of HMC includes its
warm-up; that of a PSDD excludes its compilation, which has its own column. A sampler that would take too long is not
run: its expected cost is 1/share proposals per sample, at the measured time of one. All samples are feasible at
tolerance 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from scipy.optimize import brentq
from torch import Tensor

from benchmark.experiments import sampling
from benchmark.experiments.base import Context, Experiment, Measured, machine
from benchmark.experiments.rows import ONE_RUN, Row, make_frame, single_row
from benchmark.publishing.figures.styles import COLOURS
from benchmark.publishing.tables.rendering import Column, View, make_cells
from envs.constraints import Allocation, Constraint, WeightedL1
from envs.seeding import make_generator

if TYPE_CHECKING:
    import cvxpy as cp

# Constants of the sweeps in which another quantity grows.
DIMENSION, SHARE, DISTANCE = 6, 0.1, 0.5
BIKES, CAPACITY = 30, 35
BOUNDING, NAIVE = "rejection-bounding", "rejection-naive"
LOOKS: dict[str, dict[str, Any]] = {
    "rejection": {"color": COLOURS[1], "marker": "s", "linestyle": "-"},
    BOUNDING: {"color": COLOURS[4], "marker": "D", "linestyle": "--"},
    NAIVE: {"color": COLOURS[3], "marker": "v", "linestyle": ":"},
    "hmc": {"color": COLOURS[0], "marker": "o", "linestyle": "-"},
    "psdd": {"color": COLOURS[2], "marker": "^", "linestyle": "-"},
}
SAMPLERS = tuple(LOOKS)
L1, HALF_SPACES, ALLOCATION = "weighted-l1", "half-spaces", "allocation"
# The sweeps: the quantity that grows in each, and the label of its axis.
SWEEPS = {
    "dimension": ("dimension", "action dimension"),
    "tightness": ("share", "feasible share of the action box"),
    "number": ("constraints", "number of half-spaces"),
    "zones": ("dimension", "zones of a whole allocation"),
}
KEYS = ["sweep", "sampler", "family", "dimension", "share", "constraints"]
UNITS = {
    "compile_seconds": "seconds",
    "models": "points",
    "nodes": "nodes",
    "seconds": "seconds",
    "samples_per_second": "1/s",
    "effective_per_second": "1/s",
    "acceptance": "share",
    "rhat": "ratio",
}


@dataclass(frozen=True)
class Case:
    """One set of one sweep."""

    sweep: str
    family: str
    constraint: Constraint
    share: float | None
    constraints: int = 1

    def rows(self, sampler: str, share: float, cost: sampling.Cost) -> Iterator[Row]:
        """Rows of a sampler's cost on this set; ``share`` is the feasible share of its box."""
        place = (self.sweep, sampler, self.family, self.constraint.dim, share, self.constraints)
        numbers, note = cost
        for name, value in numbers.items():
            row = single_row(name, UNITS[name], value, why=ONE_RUN, note=note)
            yield dict(zip(KEYS, place, strict=True)) | row


def measure(context: Context) -> Measured:
    """Cost of every sampler on every set that it applies to."""
    rows: list[Row] = []
    for case in cases(context):
        rows += case_rows(context, case)
    for zones in context.settings.zones:
        rows += allocation_rows(context, zones)
    return Measured(make_frame(KEYS, rows))


def cases(context: Context) -> Iterator[Case]:
    """The continuous sets, sweep by sweep."""
    settings = context.settings
    for dim in settings.dimensions:
        yield Case("dimension", L1, cross_polytope(dim, SHARE), SHARE)
    for share in settings.shares:
        yield Case("tightness", L1, cross_polytope(DIMENSION, share), share)
    most = random_polytope(DIMENSION, max(settings.constraints), DISTANCE, make_generator(0, "n2", HALF_SPACES))
    for count in settings.constraints:
        # Each set adds half-spaces to the one before, so it can only shrink.
        yield Case("number", HALF_SPACES, type(most)(most.normals[:count], DISTANCE), None, count)


def case_rows(context: Context, case: Case) -> Iterator[Row]:
    """Rejection from the action box and from the bounding box, and Hamiltonian Monte-Carlo."""
    count, limit, constraint = context.settings.samples, context.settings.limit_seconds, case.constraint
    obs = torch.ones((count, constraint.dim), dtype=torch.float64)
    generator = make_generator(0, "n2", case.sweep, constraint.dim, case.constraints, f"{case.share}")
    share = sampling.probe(constraint, obs[:1], "action", generator)[0] if case.share is None else case.share
    cost = sampling.rejection_cost(constraint, obs, "action", limit, case.share, generator)
    yield from case.rows("rejection", share, cost)
    yield from case.rows("hmc", share, sampling.hmc_cost(constraint, obs, generator))
    if case.family == L1:
        cost = sampling.rejection_cost(constraint, obs, "bounding", limit, None, generator)
        yield from case.rows(BOUNDING, share, cost)


def allocation_rows(context: Context, zones: int) -> Iterator[Row]:
    """A PSDD, and two kinds of rejection, for whole allocations of 30 bikes per zone."""
    count, limit = context.settings.samples, context.settings.limit_seconds
    constraint = Allocation(BIKES * zones, np.zeros(zones), np.full(zones, float(CAPACITY)))
    generator = make_generator(0, "n2", ALLOCATION, zones)
    models, cost = sampling.psdd_cost(constraint, count, generator)
    share = models / (CAPACITY + 1) ** zones
    case = Case("zones", ALLOCATION, constraint, share)
    yield from case.rows("psdd", share, cost)
    for sampler, plane in (("rejection", True), (NAIVE, False)):
        cost = sampling.integer_rejection_cost(constraint, count, models, plane, limit, generator)
        yield from case.rows(sampler, share, cost)


class Polytope(Constraint):
    """``<normal_j, a> <= distance`` for m half-spaces within [-1, 1]^n; 0 has this distance from every face.

    Args:
        normals: (m, n), unit vectors.
        distance: Positive.
    """

    def __init__(self, normals: NDArray[np.float64], distance: float) -> None:
        ones = np.ones(normals.shape[1])
        super().__init__(-ones, ones)
        self.normals = normals
        self.distance = distance

    def violation(self, action: Tensor, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.violation`."""
        self.check(action, obs)
        normals = torch.as_tensor(self.normals, dtype=action.dtype)
        return torch.cat([action @ normals.T - self.distance, self.box_violation(action)], dim=1)

    def cvxpy_constraints(self, x: cp.Variable, obs_row: Any) -> list[Any]:  # noqa: ARG002
        """The same set for cvxpy."""
        return [self.normals @ x <= self.distance, x >= self.lower, x <= self.upper]

    def interior(self, obs: Tensor) -> Tensor:
        """See :meth:`Constraint.interior`: 0."""
        return torch.zeros((obs.shape[0], self.dim), dtype=obs.dtype)


def random_polytope(dim: int, count: int, distance: float, generator: torch.Generator) -> Polytope:
    """A polytope with ``count`` faces in independent, uniform directions."""
    normals = torch.randn((count, dim), generator=generator, dtype=torch.float64)
    return Polytope((normals / torch.linalg.vector_norm(normals, dim=1, keepdim=True)).numpy(), distance)


def cross_polytope(dim: int, share: float) -> WeightedL1:
    """``sum_i |w_i a_i| <= bound`` within [-1, 1]^n, which is this share of the box if every w_i is 1."""
    bound = float(brentq(lambda total: irwin_hall(dim, total) - share, 0.0, float(dim), xtol=1e-14))
    return WeightedL1(bound, -np.ones(dim), np.ones(dim), range(dim))


def irwin_hall(dim: int, total: float) -> float:
    """Probability that ``dim`` independent uniforms on [0, 1] sum to at most ``total`` (Irwin 1927, Hall 1927)."""
    terms = ((-1) ** k * math.comb(dim, k) * (total - k) ** dim for k in range(math.floor(total) + 1))
    return math.fsum(terms) / math.factorial(dim)


def caption(context: Context) -> str:
    """See :class:`Experiment`."""
    settings = context.settings
    return (
        f"Cost of {settings.samples:,} samples as the set grows in dimension, tightness, number of half-spaces or "
        f"zones; each was measured once, so there are no intervals (profile {context.label}, on {machine()}). "
        f"† marks a sampler that was given up, since it would have taken more than {settings.limit_seconds:g} s: its "
        "cost is the expected one."
    )


def views(numbers: pd.DataFrame) -> list[View]:
    """See :class:`Experiment`."""
    speed = [
        Column("seconds", "seconds"),
        Column("effective per second", "effective_per_second"),
        Column("acceptance [%]", "acceptance"),
        Column("R-hat", "rhat"),
    ]
    whole = [Column("compile [s]", "compile_seconds"), Column("nodes", "nodes"), Column("models", "models")]
    headings = {"dimension": "Dimension", "tightness": "Tightness", "number": "Number of half-spaces"}
    named = numbers.assign(share=[f"{share:.3g}" for share in numbers["share"]])
    keys, found = ["sampler", "dimension", "share", "constraints"], []
    for sweep, heading in headings.items():
        found.append(View(heading, make_cells(by_sampler(named[named["sweep"] == sweep]), keys, speed)))
    zones = by_sampler(named[named["sweep"] == "zones"].rename(columns={"dimension": "zones"}))
    found.append(View("Whole allocations", make_cells(zones, ["sampler", "zones"], [*speed[:3], *whole])))
    return found


def by_sampler(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows grouped by sampler, each in the order of its sweep."""
    return rows.sort_values("sampler", key=lambda names: names.map(SAMPLERS.index), kind="stable")


def draw(measured: Measured) -> Figure:
    """Effective samples per second against dimension, tightness, number of half-spaces, and zones."""
    figure = Figure(figsize=(8.6, 7.2), layout="constrained")
    panels = figure.subplots(2, 2, sharey=True).flatten()
    rate = measured.numbers[measured.numbers["quantity"] == "effective_per_second"].dropna(subset="value")
    for panel, (sweep, (growing, label)) in zip(panels, SWEEPS.items(), strict=True):
        draw_sweep(panel, rate[rate["sweep"] == sweep], growing)
        panel.set_xlabel(label)
    for panel in panels[::2]:
        panel.set_ylabel("effective samples per second")
    figure.suptitle("What samplers cost as the constraint grows (hollow: given up, expected)")
    handles = [Line2D([], [], label=sampler, **look) for sampler, look in LOOKS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(SAMPLERS), frameon=False, handlelength=3)
    return figure


def draw_sweep(panel: Axes, rate: pd.DataFrame, growing: str) -> None:
    """The samplers' lines of one sweep, with hollow markers for expected costs."""
    for sampler, rows in rate.groupby("sampler", sort=False):
        look = LOOKS[str(sampler)]
        panel.plot(rows[growing], rows["value"], linewidth=1.6, **(look | {"marker": ""}))
        for expected, marks in rows.groupby(rows["note"] != ""):
            face = "white" if expected else look["color"]
            panel.plot(marks[growing], marks["value"], markerfacecolor=face, **(look | {"linestyle": ""}))
    panel.set_yscale("log")
    if growing == "share":
        panel.set_xscale("log")
        panel.invert_xaxis()
    else:
        values = sorted(rate[growing].unique())
        panel.set_xscale("log", base=2)
        panel.set_xticks(values, [f"{value:g}" for value in values])
        panel.minorticks_off()


EXPERIMENT = Experiment("N2: cost of samplers as the constraint grows", measure, caption, views, draw)
