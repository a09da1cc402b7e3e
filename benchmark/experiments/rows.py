"""The numbers of an experiment: rows of a tidy frame, each with its interval and origin."""

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

# The last columns of every experiment's CSV: one row is one number, with its interval and origin.
LAST = ("quantity", "tolerance", "unit", "value", "low", "high", "interval", "n", "N", "note")
# Why a single value has no interval.
ONE_FLOW, ONE_RUN = "none: one flow a task", "none: one run"
VALID = valid_columns("valid share")
Row = dict[str, Any]


def make_row(
    quantity: str, unit: str, estimate: Estimate, tolerance: float | None = None, wanted: int = 1, note: str = ""
) -> Row:
    """One number, without the columns that name its row; tables print the unit ``"share"`` in per cent."""
    numbers = (estimate.mean, estimate.low, estimate.high, estimate.method, estimate.n)
    return dict(zip(LAST, (quantity, tolerance, unit, *numbers, wanted, note), strict=True))


def single_row(
    quantity: str, unit: str, value: float | None, tolerance: float | None = None, why: str = ONE_FLOW, note: str = ""
) -> Row:
    """A number that was measured once; ``why`` says why it has no interval."""
    return make_row(quantity, unit, point(value, 1, why), tolerance, note=note)


def mean_row(quantity: str, unit: str, values: Sequence[float], wanted: int, tolerance: float | None = None) -> Row:
    """The mean over runs, out of ``wanted`` runs, with its interval."""
    bounds = SHARE if unit == "share" else NOT_NEGATIVE
    return make_row(quantity, unit, mean_interval(values, bounds), tolerance, wanted)


def validity_rows(sizes: Tensor) -> Iterator[Row]:
    """The valid share of one flow's actions at every tolerance, from their summed violations (N,)."""
    for tolerance, share in zip(TOLERANCES, shares_within(sizes).values(), strict=True):
        yield single_row("valid share", "share", share, tolerance)


def mean_validity_rows(sizes: Sequence[Tensor], wanted: int) -> Iterator[Row]:
    """The mean of these shares over runs, out of ``wanted`` runs; one tensor per run."""
    by_run = [shares_within(violations) for violations in sizes]
    for tolerance, key in zip(TOLERANCES, TOLERANCE_KEYS, strict=True):
        yield mean_row("valid share", "share", [shares[key] for shares in by_run], wanted, tolerance)


def make_frame(keys: Sequence[str], rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a data frame, starting with the columns that name a row."""
    frame = pd.DataFrame(list(rows), columns=[*keys, *LAST])
    return frame.astype({"tolerance": float, "value": float, "low": float, "high": float})
