"""Measures trained flows: on held-out states and feasible actions, and at the states that trained policies visit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from benchmark.provenance import collect_provenance
from benchmark.results import (
    TOLERANCE_KEYS,
    TOLERANCES,
    FlowReport,
    RunResult,
    VisitedReport,
    read_record,
    report_path,
)
from benchmark.store import ArtifactStore
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import make_generator
from methods.base import make_method
from methods.flowpg import FlowPGBase
from methods.flows.base import Flow
from methods.flows.measure import flow_recall, flow_violations
from methods.flows.training import draw_samples

LATENTS = ("uniform", "boundary")


def report_flow(
    task: TaskSpec, method_id: str, config: dict[str, object], store: ArtifactStore, profile: str, draws: int
) -> FlowReport:
    """Train the method's flow, or take the one that is kept, and measure it.

    Args:
        task: The task.
        method_id: A method with a flow.
        config: The method's full settings.
        store: Where flows and samples are kept.
        profile: Name of the profile, for the record.
        draws: Latents drawn for each share of valid actions.

    Raises:
        UserError: If the method has no flow, or a kept file is damaged.
    """
    method = flow_method(task, method_id, config, store)
    flow, seconds = method.trained_flow(), store.cost
    samples = draw_samples(task, method.config.samples, store)
    return FlowReport(
        task=task.id,
        flow=method_id,
        profile=profile,
        draws=draws,
        validity=validity_by_latent(flow, samples["test_context"], draws, method.config.flow.seed),
        recall=flow_recall(flow, samples),
        curve=method.flow_curve,
        seconds=seconds,
        artifact_key=store.key(*method.flow_recipe()),
        provenance=collect_provenance(),
    )


def report_state(
    task: TaskSpec, method_id: str, config: dict[str, Any], folder: Path
) -> Literal["complete", "stale", "missing"]:
    """Whether the report below ``folder`` (``results/<profile>``) is of the flow that is asked for today.

    Raises:
        UserError: If the report is damaged or the method has no flow.
    """
    path = report_path(folder, method_id, task.id)
    if not path.exists():
        return "missing"
    recipe = make_flow_method(task, method_id, config).flow_recipe()
    made = ArtifactStore(folder, task).key(*recipe)
    return "complete" if read_record(path, FlowReport).artifact_key == made else "stale"


def report_visited(task: TaskSpec, runs: Sequence[RunResult], store: ArtifactStore, draws: int) -> VisitedReport:
    """Measure a flow at the states that its own trained policies visit.

    Args:
        task: The task.
        runs: Complete runs of one method with a flow, of one profile, with the same settings.
        store: Where the flow is kept.
        draws: Latents drawn for each share of valid actions.

    Raises:
        UserError: If there are no such runs, the method has no flow, or a kept file is damaged.
    """
    finished = [run for run in runs if run.status == "complete" and run.final_policy is not None]
    if not finished:
        raise UserError(f"no complete run with a flow on {task.id}: train first, `acrl sweep --task {task.id}`")
    first = finished[0]
    method = flow_method(task, first.method, first.config["method"], store)
    rows = [row for run in finished if run.final_policy for row in run.final_policy.contexts]
    # Where nothing of the state enters the constraint, every state is the same.
    context = torch.tensor(rows) if rows else torch.empty((1, 0))
    return VisitedReport(
        task=task.id,
        flow=first.method,
        profile=first.profile,
        seeds=[run.seed for run in finished],
        states=len(context),
        draws=draws,
        validity=validity_by_latent(method.trained_flow(), context, draws, method.config.flow.seed),
        provenance=collect_provenance(),
    )


def flow_method(task: TaskSpec, method_id: str, config: dict[str, Any], store: ArtifactStore) -> FlowPGBase[Any]:
    """A method with its trained flow.

    Raises:
        UserError: If the method has no flow, or a kept file is damaged.
    """
    method = make_flow_method(task, method_id, config)
    method.prepare(store)
    return method


def make_flow_method(task: TaskSpec, method_id: str, config: dict[str, Any]) -> FlowPGBase[Any]:
    """A method with a flow, not yet prepared.

    Raises:
        UserError: If the method has no flow.
    """
    method = make_method(method_id, task, config)
    if not isinstance(method, FlowPGBase):
        raise UserError(f"method '{method_id}' has no flow; flows belong to flowpg and its variants")
    return method


def validity_by_latent(flow: Flow, context: Tensor, draws: int, seed: int) -> dict[str, dict[str, float]]:
    """Share of f(z; s) in C(s) by kind of latent and tolerance, at states drawn from ``context`` (N, k)."""
    validity: dict[str, dict[str, float]] = {}
    for kind in LATENTS:
        sizes = flow_violations(flow, context, kind, draws, make_generator(seed, "validity", kind))
        shares = [float((sizes <= tol).double().mean()) for tol in TOLERANCES]
        validity[kind] = dict(zip(TOLERANCE_KEYS, shares, strict=True))
    return validity
