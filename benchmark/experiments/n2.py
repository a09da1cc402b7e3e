"""N2: what the three samplers cost as the constraint grows in dimension, tightness and number of half-spaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.experiments.base import Context, Experiment, Measured, Row, machine, make_frame, make_table
from benchmark.experiments.timing import (
    cross_polytope,
    hmc_rows,
    integer_rejection_rows,
    probe,
    psdd_rows,
    random_polytope,
    rejection_rows,
)
from benchmark.publishing.figures.styles import COLOURS
from benchmark.publishing.tables.rendering import Column, View
from envs.constraints import Allocation, Constraint
from envs.seeding import make_generator

# What is kept while something else grows.
DIMENSION, SHARE, DISTANCE = 6, 0.1, 0.5
BIKES, CAPACITY = 30, 35
BOUNDING, NAIVE = "rejection-bounding", "rejection-naive"
SAMPLERS = ("rejection", BOUNDING, NAIVE, "hmc", "psdd")
LOOKS: dict[str, tuple[Any, str, Literal["-", "--", ":"]]] = {
    "rejection": (COLOURS[1], "s", "-"),
    BOUNDING: (COLOURS[4], "D", "--"),
    NAIVE: (COLOURS[3], "v", ":"),
    "hmc": (COLOURS[0], "o", "-"),
    "psdd": (COLOURS[2], "^", "-"),
}
L1, HALF_SPACES, ALLOCATION = "weighted-l1", "half-spaces", "allocation"
# The sweeps, what grows in each, and on what axis.
SWEEPS = {
    "dimension": ("dimension", "action dimension"),
    "tightness": ("share", "feasible share of the action box"),
    "number": ("constraints", "number of half-spaces"),
    "zones": ("dimension", "zones of a whole allocation"),
}
KEYS = ["sweep", "sampler", "family", "dimension", "share", "constraints"]


@dataclass(frozen=True)
class Case:
    """One set of one sweep."""

    sweep: str
    family: str
    constraint: Constraint
    share: float | None
    constraints: int = 1

    def named(self, sampler: str, share: float) -> Row:
        """What rows of this case are about."""
        dim = self.constraint.dim
        return dict(zip(KEYS, (self.sweep, sampler, self.family, dim, share, self.constraints), strict=True))


def measure(context: Context) -> Measured:
    """Cost of every sampler on every set that it is for."""
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
        # Each set is the one before with more half-spaces, so that it only shrinks.
        yield Case("number", HALF_SPACES, type(most)(most.normals[:count], DISTANCE), None, count)


def case_rows(context: Context, case: Case) -> Iterator[Row]:
    """Rejection from the action box and from the bounding box, and Hamiltonian Monte-Carlo."""
    count, limit, constraint = context.settings.samples, context.settings.limit_seconds, case.constraint
    obs = torch.ones((count, constraint.dim), dtype=torch.float64)
    generator = make_generator(0, "n2", case.sweep, constraint.dim, case.constraints, f"{case.share}")
    share = probe(constraint, obs[:1], "action", generator).share if case.share is None else case.share
    found: dict[str, Iterator[Row]] = {
        "rejection": rejection_rows(constraint, obs, "action", limit, case.share, generator),
        "hmc": hmc_rows(constraint, obs, generator),
    }
    if case.family == L1:
        found[BOUNDING] = rejection_rows(constraint, obs, "bounding", limit, None, generator)
    for sampler, sampler_rows in found.items():
        yield from (case.named(sampler, share) | row for row in sampler_rows)


def allocation_rows(context: Context, zones: int) -> Iterator[Row]:
    """A PSDD, and rejection in two ways, for whole allocations of 30 bikes a zone."""
    count, limit = context.settings.samples, context.settings.limit_seconds
    constraint = Allocation(BIKES * zones, np.zeros(zones), np.full(zones, float(CAPACITY)))
    generator = make_generator(0, "n2", ALLOCATION, zones)
    diagram, compiled = psdd_rows(constraint, count, generator)
    share = diagram.models / (CAPACITY + 1) ** zones
    case = Case("zones", ALLOCATION, constraint, share)
    yield from (case.named("psdd", share) | row for row in compiled)
    for sampler, plane in (("rejection", True), (NAIVE, False)):
        found = integer_rejection_rows(constraint, count, diagram.models, plane, limit, generator)
        yield from (case.named(sampler, share) | row for row in found)


def caption(context: Context) -> str:
    """See :class:`Experiment`."""
    settings = context.settings
    return (
        f"Profile {context.profile}; {settings.samples:,} samples of each sampler on each set, once (no interval), on: "
        f"{machine()}. Dimension and tightness: sum |a_i| <= b within [-1, 1]^n, b chosen for the share of the box "
        f"that is feasible ({SHARE:g} while n grows, n = {DIMENSION} while the share falls). Half-spaces: random faces "
        f"at distance {DISTANCE} from 0 within [-1, 1]^{DIMENSION}; their share is estimated. Zones: whole allocations "
        f"of {BIKES} bikes a zone, at most {CAPACITY} in each. Rejection draws from the action box (of zones: all but "
        f"the last, which follows from the total); {BOUNDING} from the smallest box around the set; {NAIVE} draws "
        "every zone. HMC's time has its warm-up in it, that of a PSDD is without its compilation, given apart. "
        f"† Given up: it would have taken more than {settings.limit_seconds:g} s; the figure is its expectation, from "
        "1/share proposals a sample and the measured time of one. All samples are feasible at tolerance 0."
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
    found = []
    for sweep, heading in headings.items():
        keys = ["sampler", "dimension", "share", "constraints"]
        found.append(View(heading, make_table(by_sampler(named[named["sweep"] == sweep]), keys, speed)))
    zones = by_sampler(named[named["sweep"] == "zones"].rename(columns={"dimension": "zones"}))
    found.append(View("Whole allocations", make_table(zones, ["sampler", "zones"], [*speed[:3], *whole])))
    return found


def by_sampler(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of one sampler one after another, each in the order of its sweep."""
    order = {name: place for place, name in enumerate(SAMPLERS)}
    return rows.sort_values("sampler", key=lambda names: names.map(order), kind="stable")


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
    handles = []
    for sampler in SAMPLERS:
        colour, marker, dashes = LOOKS[sampler]
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle=dashes, label=sampler))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(SAMPLERS), frameon=False, handlelength=3)
    return figure


def draw_sweep(panel: Axes, rate: pd.DataFrame, growing: str) -> None:
    """The samplers' lines of one sweep; an expectation is hollow."""
    for sampler, rows in rate.groupby("sampler", sort=False):
        colour, marker, dashes = LOOKS[str(sampler)]
        panel.plot(rows[growing], rows["value"], color=colour, linestyle=dashes, linewidth=1.6)
        for expected, marks in rows.groupby(rows["note"] != ""):
            face = "white" if expected else colour
            look: dict[str, Any] = {"marker": marker, "color": colour, "markerfacecolor": face}
            panel.plot(marks[growing], marks["value"], linestyle="", **look)
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
