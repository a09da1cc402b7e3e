"""A comparison as text for a terminal."""

from __future__ import annotations

from tabulate import tabulate

from benchmark.analysis.comparison import Compared, Difference
from benchmark.publishing.tables.rendering import DASH, like, percent


def comparison_text(compared: Compared) -> str:
    """The comparison for a terminal."""
    rows = [
        {
            "task": one.task if one.method_a != one.method_b else f"{one.task} {one.method_a}",
            "quantity": _label(one),
            "A": _number(one, one.a),
            "B": _number(one, one.b),
            "B - A": _number(one, one.difference),
            "95% interval": DASH if one.low is None else f"{_number(one, one.low)} to {_number(one, one.high)}",
            "n": f"{one.n_a}, {one.n_b}",
            "shown": one.shown,
        }
        for one in compared.differences
    ]
    table = tabulate(rows, headers="keys", disable_numparse=True) if rows else "nothing is compared"
    return "\n".join(
        [f"A: {compared.a}", f"B: {compared.b}", "", table, *([""] if compared.notes else []), *compared.notes]
    )


def _label(one: Difference) -> str:
    if one.unit == "share":
        return f"{one.quantity} at {one.tolerance:g} [%]"
    unit = "" if one.unit == "return" else f" [{one.unit}]"
    return f"{one.quantity}{unit}"


def _number(one: Difference, value: float | None) -> str:
    if value is None:
        return DASH
    if one.unit == "share":
        return percent(value)
    known = [abs(known) for known in (one.a, one.b) if known is not None]
    return like(max(known, default=0.0), whole=False)(value)
