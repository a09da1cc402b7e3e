"""Reads what the experiments measured, results/<profile>/experiments/<name>.csv."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.analysis.statistics import Estimate, point
from envs.errors import UserError


def read_experiment(folder: Path, name: str, keys: Sequence[str]) -> pd.DataFrame | None:
    """The numbers of an experiment below ``folder`` (``results/<profile>``); None where it was not made.

    Args:
        folder: Of the profile.
        name: Of the experiment.
        keys: Columns needed besides ``quantity`` and ``value``.

    Raises:
        UserError: If the file is damaged or lacks a column.
    """
    path = folder / "experiments" / f"{name}.csv"
    again = f"delete it and run `acrl experiment {name} -p {folder.name}`"
    if not path.exists():
        return None
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no table: {error}; {again}") from error
    lacking = [column for column in (*keys, "quantity", "value") if column not in frame.columns]
    if lacking:
        raise UserError(f"{path} has no column {', '.join(lacking)}; {again}")
    for column in ("value", "low", "high", "n"):
        known = frame[column] if column in frame.columns else pd.Series(float("nan"), index=frame.index)
        frame[column] = pd.to_numeric(known, errors="coerce")
    return frame


def not_made(name: str, profile: str) -> str:
    """What to do where :func:`read_experiment` gave None."""
    return f"no {name}.csv: run `acrl experiment {name} -p {profile}`"


def estimate_of(frame: pd.DataFrame, quantity: str) -> Estimate:
    """The number of this name among an experiment's rows of one kind; without a value where there is none."""
    rows = frame[(frame["quantity"] == quantity) & frame["value"].notna()]
    if rows.empty:
        return point(None, 0)
    row = rows.iloc[0]
    n = 1 if pd.isna(row["n"]) else int(row["n"])
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return point(float(row["value"]), n, "none: measured without an interval")
    return Estimate(float(row["value"]), float(row["low"]), float(row["high"]), n, "of the experiment")
