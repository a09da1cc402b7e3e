"""Trains and stores flows, and measures them at held-out states and at the states that policies visit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from benchmark.records.config import Params, run_config
from benchmark.records.provenance import collect_provenance
from benchmark.records.reports import (
    LATENTS,
    CoverageReport,
    FlowReport,
    StateCoverage,
    VisitedReport,
    coverage_path,
    report_path,
)
from benchmark.records.results import TOLERANCE_KEYS, TOLERANCES, RunResult, read_record, read_run
from benchmark.records.runs import select, state_of
from benchmark.records.selection import Selection
from benchmark.records.store import ArtifactStore, KeptArtifacts
from benchmark.training.visited import visited_states
from envs.errors import UserError
from envs.registry import TaskSpec, make_task
from envs.sampling.dataset import visited_half
from envs.seeding import make_generator
from methods.base import Tensors, make_method, method_class, parse_config
from methods.flowpg import FlowPGBase, FlowPGConfig, flow_recipe
from methods.flows.base import Flow
from methods.flows.measure import flow_recall, flow_violations
from methods.flows.training import draw_samples

# The flow whose training states are compared with visited ones: the paper's.
COVERED = "flowpg"
# Enough for meaningful nearest neighbours, few enough to search in a second.
NEIGHBOURS, TYPICAL = 50_000, 0.99
COVERAGE_DRAWS = 20_000


def flow_config(method_id: str, config: Mapping[str, Any]) -> FlowPGConfig:
    """The checked settings of a method with a flow.

    Raises:
        UserError: If the method has no flow, or a setting is unknown or ill-typed.
    """
    cls = method_class(method_id)
    if not issubclass(cls, FlowPGBase):
        raise UserError(f"method '{method_id}' has no flow: choose flowpg or one of its variants")
    parsed = parse_config(cls, config)
    assert isinstance(parsed, FlowPGConfig)
    return parsed


def flow_method(task: TaskSpec, method_id: str, config: dict[str, Any], store: ArtifactStore) -> FlowPGBase[Any]:
    """A method with its trained flow.

    Raises:
        UserError: If the method has no flow, or a stored file is damaged.
    """
    flow_config(method_id, config)
    method = make_method(method_id, task, config)
    assert isinstance(method, FlowPGBase)
    method.prepare(store)
    return method


def make_flow(params: Params, profile: str, results: Path, flow: tuple[str, str]) -> list[Path]:
    """Train and measure one flow, named by its task and method, and return its file and that of its report.

    An existing flow made with today's libraries is only measured.

    Raises:
        UserError: If an id is unknown, the method has no flow, or a file is damaged.
    """
    torch.set_num_threads(1)
    task_id, method_id = flow
    task, draws = make_task(task_id), params.profile(profile).flow_draws
    store = ArtifactStore(results / profile, task, same_libraries=True)
    method = flow_method(task, method_id, run_config(params, profile, task_id, method_id).method, store)
    # Before the samples are loaded again: their cost is included.
    seconds = store.cost
    samples = draw_samples(task, method.config.samples, store)
    path = report_path(results / profile, method_id, task_id)
    FlowReport(
        task=task_id,
        flow=method_id,
        profile=profile,
        draws=draws,
        validity=validity_by_latent(method, samples["test_context"], draws),
        recall=flow_recall(method.trained_flow(), samples),
        curve=method.flow_curve,
        seconds=seconds,
        artifact_key=store.key(*flow_recipe(method.config)),
        provenance=collect_provenance(),
    ).write(path)
    return [store.path(f"flows/{method_id}"), path]


def flow_key(params: Params, profile: str, results: Path, task_id: str, method_id: str) -> str:
    """Hash of everything that a flow of a profile depends on today.

    Raises:
        UserError: If an id is unknown, or the method has no flow.
    """
    config = flow_config(method_id, run_config(params, profile, task_id, method_id).method)
    return ArtifactStore(results / profile, make_task(task_id)).key(*flow_recipe(config))


def flow_states(
    params: Params, profile: str, tasks: Sequence[str], methods: Sequence[str], results: Path
) -> Iterator[tuple[str, str, str]]:
    """Task and method of each flow of a profile, and whether its report is complete, stale or missing.

    If tasks or methods are given, only theirs.

    Raises:
        UserError: If an id is unknown or a report is damaged.
    """
    chosen = params.profile(profile)
    for method in methods:
        method_class(method)
    for task_id in tasks:
        make_task(task_id)
    for task_id in tasks or chosen.tasks:
        for method in chosen.flow_methods:
            if methods and method not in methods:
                continue
            path, state = report_path(results / profile, method, task_id), "missing"
            if path.exists():
                key = flow_key(params, profile, results, task_id, method)
                state = "complete" if read_record(path, FlowReport).artifact_key == key else "stale"
            yield task_id, method, state


def measure_visited(params: Params, profile: str, results: Path, methods: Sequence[str], task_id: str) -> list[Path]:
    """Measure a task's flows at the states that the policies trained with them visit, and return the reports' files.

    If no method is given, those of the profile with a complete run are measured.

    Raises:
        UserError: If an id is unknown, there is no complete run, or a file is damaged.
    """
    torch.set_num_threads(1)
    task, chosen, folder = make_task(task_id), params.profile(profile), results / profile
    store = KeptArtifacts(folder, task, f"run `acrl flows {task_id} -p {profile}`")
    found = {method: _complete(params, profile, task_id, method, results) for method in methods or chosen.flow_methods}
    written = []
    for method_id, runs in found.items():
        if not runs and not methods and any(found.values()):
            continue
        if not runs:
            train = f"acrl sweep --task {task_id} -p {profile}"
            raise UserError(f"no complete run with a flow on {task_id}: train first with `{train}`")
        method = flow_method(task, method_id, run_config(params, profile, task_id, method_id).method, store)
        written.append(report_path(folder, method_id, task_id, "visited"))
        report_visited(method, runs, chosen.flow_draws).write(written[-1])
        if method_id == COVERED and task.constraint.context_indices:
            samples = draw_samples(task, method.config.samples, store)
            others = [run for other in chosen.methods for run in _complete(params, profile, task_id, other, results)]
            written.append(coverage_path(folder, task_id))
            measure_coverage(task, profile, samples, method.trained_flow(), others).write(written[-1])
    return written


def _complete(params: Params, profile: str, task_id: str, method: str, results: Path) -> list[RunResult]:
    chosen = select(params, profile, [task_id], [method])
    return [read_run(run.path(results)) for run in chosen if state_of(run, params, results)[0] == "complete"]


def not_of_the_record(found: Selection) -> list[str]:
    """The tasks with a report of visited states that is not of exactly the complete runs that there are now.

    Left out are methods with stale runs, which have to be made again first, and older reports, which do not say.
    """
    settled = [method for method in found.methods if method not in {*found.stale, *found.submitted}]

    def keys(task: str, method: str) -> dict[str, str]:
        return {str(run.record.seed): run.record.run_key for run in found.runs(task, method)}

    outdated = {
        task
        for (task, method), report in found.visited.items()
        if method in settled and report.run_keys and report.run_keys != keys(task, method)
    }
    for task, coverage in found.coverage.items():
        measured = {
            method: {seed: state.run_key for seed, state in coverage.runs.get(method, {}).items()} for method in settled
        }
        older = any("" in by_seed.values() for by_seed in measured.values())
        if not older and measured != {method: keys(task, method) for method in settled}:
            outdated.add(task)
    return [task for task in found.tasks if task in outdated]


def report_visited(method: FlowPGBase[Any], runs: Sequence[RunResult], draws: int) -> VisitedReport:
    """Measure a method's flow at the states that the policy of each complete run visits at the end of training."""
    validity = {}
    for run in runs:
        rows = run.final_policy.contexts if run.final_policy else []
        # If the constraint does not depend on the state, every state is the same.
        context = torch.tensor(rows) if rows else torch.empty((1, 0))
        validity[str(run.seed)] = validity_by_latent(method, context, draws, f"seed {run.seed}")
    return VisitedReport(
        task=method.task.id,
        flow=method.id,
        profile=runs[0].profile,
        draws=draws,
        validity=validity,
        run_keys={str(run.seed): run.run_key for run in runs},
        provenance=collect_provenance(),
    )


def measure_coverage(
    task: TaskSpec, profile: str, samples: Tensors, flow: Flow, runs: Sequence[RunResult]
) -> CoverageReport:
    """Compare the states that complete runs of any method visited with those that a flow was trained on.

    Only the training states that rollouts visited count: widened ones reach so far that almost every state is in their
    range. The task's constraint must depend on the state.
    """
    train, test = (visited_half(samples[f"{name}_context"]) for name in ("train", "test"))
    low, high, scale = train.amin(dim=0), train.amax(dim=0), train.std(dim=0)
    tree = cKDTree((_spread(train) / scale).numpy())
    # The distance to the nearest training context that 99% of the held-out ones stay within.
    reach = np.quantile(tree.query((_spread(test) / scale).numpy())[0], TYPICAL)
    found: dict[str, dict[str, StateCoverage]] = {}
    for run in runs:
        states = [context for _, context in visited_states(run)]
        if not states:
            continue
        visited = torch.tensor(states)
        inside = ((visited >= low) & (visited <= high)).all(dim=1)
        distance, _ = tree.query((visited / scale).numpy())
        sizes = flow_violations(flow, visited, "uniform", COVERAGE_DRAWS, make_generator(0, "coverage"))
        found.setdefault(run.method, {})[str(run.seed)] = StateCoverage(
            within_range=float(inside.double().mean()),
            near=float(np.mean(distance <= reach)),
            valid=shares_within(sizes),
            run_key=run.run_key,
        )
    draws, origin = COVERAGE_DRAWS, collect_provenance()
    return CoverageReport(task=task.id, profile=profile, draws=draws, runs=found, provenance=origin)


def _spread(rows: Tensor) -> Tensor:
    """Evenly spaced rows, up to a maximum."""
    return rows[:: max(1, len(rows) // NEIGHBOURS)]


def validity_by_latent(
    method: FlowPGBase[Any], context: Tensor, draws: int, *purpose: str
) -> dict[str, dict[str, float]]:
    """Share of f(z; s) in C(s) by kind of latent and tolerance, at states drawn from ``context`` (N, k).

    Calls with another ``purpose`` draw other states and latents.
    """
    flow, seed = method.trained_flow(), method.config.flow.seed
    generators = {kind: make_generator(seed, "validity", kind, *purpose) for kind in LATENTS}
    return {kind: shares_within(flow_violations(flow, context, kind, draws, generators[kind])) for kind in LATENTS}


def shares_within(sizes: Tensor) -> dict[str, float]:
    """Share of summed violations (N,) within each tolerance."""
    shares = [float((sizes <= tol).double().mean()) for tol in TOLERANCES]
    return dict(zip(TOLERANCE_KEYS, shares, strict=True))
