"""How returns of methods differ, and which may have the highest on a task, as far as the runs can tell."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmark.analysis.anchors import final_returns
from benchmark.analysis.statistics import Estimate, difference_interval
from benchmark.records.runs import IDLE_METHOD
from benchmark.records.selection import Selection


def contenders(found: Selection, task: str, methods: Sequence[str] | None = None) -> list[str]:
    """The method with the highest mean final return on ``task``, then those not shown to return less, best first.

    These are the methods whose difference from the first has a 95% interval (Welch's t) that includes 0, or none, since
    all seeds are equal. Doing nothing counts as a method. Only ``methods``, by default all, with two seeds or more are
    compared: a single seed has no interval, and may lead by luck. The list is empty if there are none.
    """
    chosen = (*found.methods, IDLE_METHOD) if methods is None else methods
    every = {method: final_returns(found.runs(task, method)) for method in chosen}
    returns = {method: values for method, values in every.items() if len(values) > 1}
    ordered = sorted(returns, key=lambda method: -statistics.fmean(returns[method]))
    lows = {method: difference_interval(returns[ordered[0]], returns[method]).low for method in ordered[1:]}
    return [*ordered[:1], *(method for method, low in lows.items() if low is None or low <= 0)]


def return_differences(found: Selection, method: str, other: str) -> dict[str, Estimate]:
    """Mean final return of ``method`` minus that of ``other``, on each task where both have two seeds."""
    differences = {}
    for task in found.tasks:
        first, second = (final_returns(found.runs(task, each)) for each in (method, other))
        if min(len(first), len(second)) > 1:
            differences[task] = difference_interval(first, second)
    return differences
