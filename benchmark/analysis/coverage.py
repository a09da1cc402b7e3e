"""Whether the states that a flow was trained on cover those that were visited, and the flow's validity there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydantic import ValidationError
from scipy.spatial import cKDTree
from torch import Tensor

from benchmark.analysis.statistics import mean_interval
from benchmark.analysis.summaries import SHARE, Cell, make_cell, make_frame, over_runs
from benchmark.records.results import TOLERANCES
from benchmark.records.selection import CompleteRun, Selection
from benchmark.records.store import load_tensors
from envs.errors import UserError
from envs.registry import make_task
from envs.seeding import make_generator
from methods.flows.base import Flow
from methods.flows.measure import flow_violations
from methods.flows.realnvp import RealNVPConfig
from methods.flows.training import load_flow

FLOW_METHOD = "flowpg"
# Enough for a nearest neighbour to mean something, few enough to search in a second.
NEIGHBOURS, TYPICAL = 50_000, 0.99
DRAWS = 20_000
Quantity = tuple[str, float | None]
QUANTITIES: tuple[Quantity, ...] = (
    ("within range", None),
    ("near", None),
    *(("valid there", tol) for tol in TOLERANCES),
)


@dataclass(frozen=True)
class Trained:
    """What a task's flow was trained on.

    Attributes:
        low: Least context in training, (k,).
        high: Largest context in training, (k,).
        scale: Standard deviation of the contexts, (k,).
        tree: Standardised training contexts.
        near: Distance to the nearest training context within which 99% of the test set's contexts lie.
        flow: The flow; None where no run of a flow is complete.
    """

    low: Tensor
    high: Tensor
    scale: Tensor
    tree: cKDTree
    near: float
    flow: Flow | None

    def cells(self, visited: Tensor) -> dict[Quantity, float]:
        """Shares for the contexts (N, k) that one run visited, by quantity and tolerance."""
        inside = ((visited >= self.low) & (visited <= self.high)).all(dim=1)
        distance, _ = self.tree.query((visited / self.scale).numpy())
        shares: dict[Quantity, float] = {
            ("within range", None): float(inside.double().mean()),
            ("near", None): float(np.mean(distance <= self.near)),
        }
        if self.flow is not None:
            sizes = flow_violations(self.flow, visited, "uniform", DRAWS, make_generator(0, "coverage"))
            shares |= {("valid there", tol): float((sizes <= tol).double().mean()) for tol in TOLERANCES}
        return shares


def coverage(found: Selection, folder: Path) -> pd.DataFrame:
    """Tidy frame of all tasks whose constraint depends on the state and whose samples are kept below ``folder``."""
    trained = {task: read_trained(found, folder, task) for task in found.tasks}

    def cells(task: str, method: str) -> list[Cell]:
        reference = trained[task]
        runs = [run for run in found.runs(task, method) if run.record.visited]
        if reference is None or not runs:
            return []
        by_run = [reference.cells(torch.tensor(run.record.visited)) for run in runs]
        # Without a flow there is nothing to say of its validity.
        found_of = {name: [shares[name] for shares in by_run if name in shares] for name in QUANTITIES}
        return [make_cell(name, "share", mean_interval(shares, SHARE), tol) for (name, tol), shares in found_of.items()]

    return make_frame(("task", "method"), over_runs(found, cells))


def read_trained(found: Selection, folder: Path, task_id: str) -> Trained | None:
    """The training set and flow of a task; None where no samples are kept or the constraint has no context."""
    path = folder / "samples" / f"{task_id}.safetensors"
    task = make_task(task_id)
    if not path.exists() or not task.constraint.context_indices:
        return None
    samples, _ = load_tensors(path)
    if not {"train_context", "test_context"} <= samples.keys():
        raise UserError(f"{path} holds no samples of contexts; delete it and draw them again")
    train, test = samples["train_context"], samples["test_context"]
    scale = train.std(dim=0)
    tree = cKDTree((_spread(train) / scale).numpy())
    distance, _ = tree.query((_spread(test) / scale).numpy())
    near = float(np.quantile(distance, TYPICAL))
    flow = _flow(found.runs(task_id, FLOW_METHOD), folder / "flows" / FLOW_METHOD / path.name, task_id)
    return Trained(train.amin(dim=0), train.amax(dim=0), scale, tree, near, flow)


def _spread(rows: Tensor) -> Tensor:
    """At most so many rows, evenly spaced, since the halves of the set differ."""
    return rows[:: max(1, len(rows) // NEIGHBOURS)]


def _flow(runs: list[CompleteRun], path: Path, task_id: str) -> Flow | None:
    if not runs or not path.exists():
        return None
    state, _ = load_tensors(path)
    try:
        config = RealNVPConfig.model_validate(runs[0].record.config["method"]["flow"])
    except (KeyError, ValidationError) as error:
        raise UserError(f"{task_id}: the runs' flow settings are not those of this program; run it again") from error
    return load_flow(make_task(task_id), config, state)[0]
