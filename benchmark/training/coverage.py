"""Measures how well the states that a flow was trained on cover those that runs visited, and its validity there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from benchmark.records.provenance import collect_provenance
from benchmark.records.reports import CoverageReport, StateCoverage
from benchmark.records.results import TOLERANCES, RunResult
from envs.registry import TaskSpec
from envs.seeding import make_generator
from methods.base import Tensors
from methods.flows.base import Flow
from methods.flows.measure import flow_violations

# Enough for a nearest neighbour to mean something, few enough to search in a second.
NEIGHBOURS, TYPICAL = 50_000, 0.99
DRAWS = 20_000


@dataclass(frozen=True)
class Trained:
    """What a task's flow was trained on.

    Attributes:
        low: Least context in training, (k,).
        high: Largest context in training, (k,).
        scale: Standard deviation of the contexts, (k,).
        tree: Standardised training contexts.
        near: Distance to the nearest training context within which 99% of the test set's contexts lie.
        flow: The flow.
    """

    low: Tensor
    high: Tensor
    scale: Tensor
    tree: cKDTree
    near: float
    flow: Flow

    @classmethod
    def on(cls, samples: Tensors, flow: Flow) -> Trained:
        """From the samples that ``flow`` was trained and tested on."""
        train, test = samples["train_context"], samples["test_context"]
        scale = train.std(dim=0)
        tree = cKDTree((_spread(train) / scale).numpy())
        distance, _ = tree.query((_spread(test) / scale).numpy())
        return cls(train.amin(dim=0), train.amax(dim=0), scale, tree, float(np.quantile(distance, TYPICAL)), flow)

    def measure(self, visited: Tensor) -> StateCoverage:
        """Shares for the contexts (N, k) that one run visited."""
        inside = ((visited >= self.low) & (visited <= self.high)).all(dim=1)
        distance, _ = self.tree.query((visited / self.scale).numpy())
        sizes = flow_violations(self.flow, visited, "uniform", DRAWS, make_generator(0, "coverage"))
        return StateCoverage(
            within_range=float(inside.double().mean()),
            near=float(np.mean(distance <= self.near)),
            valid={f"{tol:g}": float((sizes <= tol).double().mean()) for tol in TOLERANCES},
        )


def measure_coverage(
    task: TaskSpec, profile: str, samples: Tensors, flow: Flow, runs: Iterable[RunResult]
) -> CoverageReport:
    """Compare the states that each run visited with those that a flow was trained on.

    Args:
        task: A task whose constraint depends on the state.
        profile: Name of the profile, for the record.
        samples: What the flow was trained on.
        flow: The flow.
        runs: Complete runs of any method.
    """
    trained = Trained.on(samples, flow)
    found: dict[str, dict[str, StateCoverage]] = {}
    for run in runs:
        if run.visited:
            found.setdefault(run.method, {})[str(run.seed)] = trained.measure(torch.tensor(run.visited))
    return CoverageReport(task=task.id, profile=profile, draws=DRAWS, runs=found, provenance=collect_provenance())


def _spread(rows: Tensor) -> Tensor:
    """At most so many rows, evenly spaced, since the halves of the set differ."""
    return rows[:: max(1, len(rows) // NEIGHBOURS)]
