"""Measures a trained flow on feasible actions and states that it was not trained on."""

from __future__ import annotations

from benchmark.results import TOLERANCE_KEYS, TOLERANCES, FlowReport
from benchmark.store import ArtifactStore
from envs.errors import UserError
from envs.registry import TaskSpec
from envs.seeding import make_generator
from methods.base import make_method
from methods.flowpg import FlowPG
from methods.flows.training import draw_samples, flow_recall, flow_violations

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
    method = make_method(method_id, task, config)
    if not isinstance(method, FlowPG):
        raise UserError(f"method '{method_id}' has no flow; flows belong to flowpg")
    method.prepare(store)
    flow, seconds = method.trained_flow(), store.cost
    samples = draw_samples(task, method.config.samples, store)
    validity: dict[str, dict[str, float]] = {}
    for kind in LATENTS:
        generator = make_generator(method.config.flow.seed, "validity", kind)
        sizes = flow_violations(flow, samples["test_context"], kind, draws, generator)
        shares = [float((sizes <= tol).double().mean()) for tol in TOLERANCES]
        validity[kind] = dict(zip(TOLERANCE_KEYS, shares, strict=True))
    return FlowReport(
        task=task.id,
        flow=method_id,
        profile=profile,
        draws=draws,
        validity=validity,
        recall=flow_recall(flow, samples),
        curve=method.flow_curve,
        seconds=seconds,
    )
