"""The share of actions that is valid, as rows of an experiment."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from benchmark.analysis.statistics import point
from benchmark.experiments.base import ONE_FLOW, Row, make_row
from benchmark.publishing.tables.rendering import Column
from benchmark.records.results import TOLERANCES

VALID = tuple(Column(f"valid at {tol:g} [%]", "valid share", tol) for tol in TOLERANCES)


def share_within(sizes: Tensor, tolerance: float) -> float:
    """Share of summed violations (N,) within a tolerance."""
    return float((sizes <= tolerance).double().mean())


def validity_rows(sizes: Tensor) -> Iterator[Row]:
    """The share of one flow's actions that is valid, at every tolerance."""
    for tolerance in TOLERANCES:
        yield make_row("valid share", "share", point(share_within(sizes, tolerance), 1, ONE_FLOW), tolerance)
