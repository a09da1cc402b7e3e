"""The numbers of an experiment: rows of a tidy frame, each with its interval and where it is from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd
from torch import Tensor

from benchmark.analysis.statistics import Estimate, mean_interval, point
from benchmark.analysis.summaries import NOT_NEGATIVE, SHARE
from benchmark.publishing.tables.rendering import valid_columns
from benchmark.records.results import TOLERANCE_KEYS, TOLERANCES
from benchmark.training.flows import shares_within

# Last columns of every experiment's CSV: one row is one number, with its interval and where it is from.
LAST = ("quantity", "tolerance", "unit", "value", "low", "high", "interval", "n", "N", "note")
# Why a single value has no interval.
ONE_FLOW, ONE_RUN = "none: one flow a task", "none: one run"
VALID = valid_columns("valid share")
Row = dict[str, Any]


def make_row(
    quantity: str, unit: str, estimate: Estimate, tolerance: float | None = None, wanted: int = 1, note: str = ""
) -> Row:
    """One number, not yet told what it belongs to; tables print the unit ``"share"`` in per cent."""
    numbers = (estimate.mean, estimate.low, estimate.high, estimate.method, estimate.n)
    return dict(zip(LAST, (quantity, tolerance, unit, *numbers, wanted, note), strict=True))


def single_row(
    quantity: str, unit: str, value: float | None, tolerance: float | None = None, why: str = ONE_FLOW, note: str = ""
) -> Row:
    """A number measured once; ``why`` says why it has no interval."""
    return make_row(quantity, unit, point(value, 1, why), tolerance, note=note)


def mean_row(quantity: str, unit: str, values: Sequence[float], wanted: int, tolerance: float | None = None) -> Row:
    """The mean of one value a run, of ``wanted`` runs, with its interval."""
    bounds = SHARE if unit == "share" else NOT_NEGATIVE
    return make_row(quantity, unit, mean_interval(values, bounds), tolerance, wanted)


def validity_rows(sizes: Tensor) -> Iterator[Row]:
    """The share of one flow's actions, with summed violations (N,), that is valid, at every tolerance."""
    for tolerance, share in zip(TOLERANCES, shares_within(sizes).values(), strict=True):
        yield single_row("valid share", "share", share, tolerance)


def mean_validity_rows(sizes: Sequence[Tensor], wanted: int) -> Iterator[Row]:
    """The same over ``wanted`` runs; one tensor a run that there is."""
    by_run = [shares_within(violations) for violations in sizes]
    for tolerance, key in zip(TOLERANCES, TOLERANCE_KEYS, strict=True):
        yield mean_row("valid share", "share", [shares[key] for shares in by_run], wanted, tolerance)


def make_frame(keys: Sequence[str], rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a data frame with the columns that name a row first."""
    frame = pd.DataFrame(list(rows), columns=[*keys, *LAST])
    return frame.astype({"tolerance": float, "value": float, "low": float, "high": float})
