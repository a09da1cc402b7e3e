"""What DVC shows of a profile: one file of numbers by task and method, and one of curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.analysis.leaderboard import Leaderboard
from benchmark.publishing.tables.rendering import DIGITS
from benchmark.records.files import write_text

# Names in the file, with the leaderboard's quantity and tolerance.
SHOWN = {
    "return": ("final return", None),
    "score": ("score", None),
    "valid_1e-6": ("final valid share", 1e-6),
    "valid_0.1": ("final valid share", 0.1),
}
KEYS = ["task", "method", "step"]


def write_metrics(board: Leaderboard, folder: Path) -> list[Path]:
    """Write ``metrics.json`` and ``curves.csv`` below ``results/<profile>``; return both paths."""
    numbers, curves = folder / "metrics.json", folder / "curves.csv"
    write_text(numbers, json.dumps(metrics_of(board), indent=1) + "\n")
    write_text(curves, curves_of(board).to_csv(index=False, float_format=DIGITS, lineterminator="\n"))
    return [numbers, curves]


def metrics_of(board: Leaderboard) -> dict[str, dict[str, dict[str, float]]]:
    """Means by task (``all`` for all together), method and name, without missing ones."""
    names = {key: name for name, key in SHOWN.items()}
    found: dict[str, dict[str, dict[str, float]]] = {}
    frame = board.frame
    cells: list[dict[Any, Any]] = frame[frame["mean"].notna()].to_dict("records")
    for cell in cells:
        tolerance = None if pd.isna(cell["tolerance"]) else cell["tolerance"]
        name = names.get((cell["quantity"], tolerance))
        if name:
            found.setdefault(cell["task"], {}).setdefault(cell["method"], {})[name] = float(DIGITS % cell["mean"])
    return found


def curves_of(board: Leaderboard) -> pd.DataFrame:
    """One row per task, method and step: the return with its interval, and the policy's cumulative violations."""
    returns = board.learning.means.rename(columns={"mean": "return"})
    missed = board.missed.means[[*KEYS, "mean"]].rename(columns={"mean": "violations"})
    return returns[[*KEYS, "return", "low", "high"]].merge(missed, on=KEYS, how="left")
