"""Samples, flows and what is measured of them: on held-out states, and at the states that trained policies visit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from benchmark.records.config import Params, run_config
from benchmark.records.provenance import collect_provenance
from benchmark.records.reports import CoverageReport, FlowReport, VisitedReport, coverage_path, report_path
from benchmark.records.results import TOLERANCE_KEYS, TOLERANCES, RunResult, read_record, read_run
from benchmark.records.runs import select
from benchmark.records.store import ArtifactStore
from benchmark.training.coverage import measure_coverage
from envs.errors import UserError
from envs.registry import TaskSpec, make_task
from envs.seeding import make_generator
from methods.base import make_method, method_class, parse_config
from methods.flowpg import FlowPGBase, FlowPGConfig, flow_recipe
from methods.flows.base import Flow
from methods.flows.measure import flow_recall, flow_violations
from methods.flows.training import draw_samples

LATENTS = ("uniform", "boundary")
# The flow whose training states are compared with those that runs visited: the paper's.
COVERED = "flowpg"


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
        artifact_key=store.key(*flow_recipe(method.config)),
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
    made = ArtifactStore(folder, task).key(*flow_recipe(flow_config(method_id, config)))
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
    flow_config(method_id, config)
    method = make_method(method_id, task, config)
    assert isinstance(method, FlowPGBase)
    method.prepare(store)
    return method


def flow_config(method_id: str, config: Mapping[str, Any]) -> FlowPGConfig:
    """The settings of a method with a flow, checked.

    Raises:
        UserError: If the method has no flow, or a setting is unknown or ill-typed.
    """
    cls = method_class(method_id)
    if not issubclass(cls, FlowPGBase):
        raise UserError(f"method '{method_id}' has no flow; flows belong to flowpg and its variants")
    parsed = parse_config(cls, config)
    assert isinstance(parsed, FlowPGConfig)
    return parsed


def validity_by_latent(flow: Flow, context: Tensor, draws: int, seed: int) -> dict[str, dict[str, float]]:
    """Share of f(z; s) in C(s) by kind of latent and tolerance, at states drawn from ``context`` (N, k)."""
    validity: dict[str, dict[str, float]] = {}
    for kind in LATENTS:
        sizes = flow_violations(flow, context, kind, draws, make_generator(seed, "validity", kind))
        shares = [float((sizes <= tol).double().mean()) for tol in TOLERANCES]
        validity[kind] = dict(zip(TOLERANCE_KEYS, shares, strict=True))
    return validity


def make_flow(params: Params, profile: str, results: Path, flow: tuple[str, str]) -> list[Path]:
    """Train and measure one flow, or measure the one that is kept if it is of today's libraries.

    Args:
        params: Settings.
        profile: Name of the profile.
        results: Folder of all results.
        flow: Its task and method.

    Returns:
        The files of the flow and of its report.

    Raises:
        UserError: If an id is unknown, the method has no flow, or a file is damaged.
    """
    torch.set_num_threads(1)
    task_id, method = flow
    task, draws = make_task(task_id), params.profile(profile).flow_draws
    config = run_config(params, profile, task_id, method).method
    store = ArtifactStore(results / profile, task, same_libraries=True)
    report = report_flow(task, method, config, store, profile, draws)
    path = report_path(results / profile, method, task_id)
    report.write(path)
    return [store.path(f"flows/{method}"), path]


def flow_states(
    params: Params, profile: str, tasks: Sequence[str], methods: Sequence[str], results: Path
) -> Iterator[tuple[str, str, str]]:
    """Task, method, and whether the report on its flow is complete, stale or missing, for a profile's flows.

    Args:
        params: Settings.
        profile: Name of the profile.
        tasks: Only these, if any.
        methods: Only these, if any.
        results: Folder of all results.

    Raises:
        UserError: If the profile is unknown or a report is damaged.
    """
    chosen = params.profile(profile)
    for task_id in tasks or chosen.tasks:
        for method in chosen.flow_methods:
            if not methods or method in methods:
                config = run_config(params, profile, task_id, method).method
                yield task_id, method, report_state(make_task(task_id), method, config, results / profile)


def measure_visited(params: Params, profile: str, results: Path, methods: Sequence[str], task_id: str) -> list[Path]:
    """Measure a task's flows at the states that the policies trained with them visit; returns the reports.

    Args:
        params: Settings.
        profile: Name of the profile.
        results: Folder of all results.
        methods: Those measured; if none is given, those of the profile that have a complete run.
        task_id: The task.

    Raises:
        UserError: If an id is unknown, there is no complete run, or a file is damaged.
    """
    torch.set_num_threads(1)
    task, chosen = make_task(task_id), params.profile(profile)
    written = []
    found = {method: _runs(params, profile, task_id, method, results) for method in methods or chosen.flow_methods}
    with_runs = {method: runs for method, runs in found.items() if any(run.status == "complete" for run in runs)}
    for method, runs in (found if methods or not with_runs else with_runs).items():
        store = ArtifactStore(results / profile, task)
        report = report_visited(task, runs, store, chosen.flow_draws)
        written.append(report_path(results / profile, method, task_id, "visited"))
        report.write(written[-1])
        if method == COVERED and task.constraint.context_indices:
            everyones = [run for other in chosen.methods for run in _runs(params, profile, task_id, other, results)]
            complete = [run for run in everyones if run.status == "complete"]
            written.append(coverage_path(results / profile, task_id))
            _report_coverage(task, profile, runs[0].config["method"], store, complete).write(written[-1])
    return written


def _report_coverage(
    task: TaskSpec, profile: str, config: dict[str, Any], store: ArtifactStore, runs: Sequence[RunResult]
) -> CoverageReport:
    method = flow_method(task, COVERED, config, store)
    samples = draw_samples(task, method.config.samples, store)
    return measure_coverage(task, profile, samples, method.trained_flow(), runs)


def _runs(params: Params, profile: str, task_id: str, method: str, results: Path) -> list[RunResult]:
    paths = [run.path(results) for run in select(params, profile, [task_id], [method])]
    return [read_run(path) for path in paths if path.exists()]
