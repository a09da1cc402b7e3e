"""What the pipeline's stages make apart from runs: the plan of keys, samples, and flows with their reports."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmark.records.anchors import anchor_pairs
from benchmark.records.config import Params, run_config
from benchmark.records.files import write_text
from benchmark.records.provenance import library_versions
from benchmark.records.results import RunResult, read_run, report_path
from benchmark.records.store import ArtifactStore
from benchmark.training.flows import flow_config, report_flow, report_state, report_visited
from benchmark.training.runs import select
from envs.errors import UserError
from envs.registry import make_task
from methods.flowpg import flow_recipe
from methods.flows.training import SampleConfig, draw_samples, sample_recipe


def write_plan(params: Params, profile: str, results: Path) -> list[Path]:
    """Write, for each stage of the pipeline, one file with the key of what it makes.

    The files' contents are what DVC goes by, so that a new task, a new method or a raised version leaves everything
    else alone. Versions of libraries are among them: with other libraries everything is made anew.

    Returns:
        The files written.
    """
    keys: dict[Path, list[str]] = {}
    chosen, folder = params.profile(profile), results / profile / "plan"
    for task_id in chosen.tasks:
        task = make_task(task_id)
        store = ArtifactStore(results / profile, task)
        for method_id in chosen.flow_methods:
            config = flow_config(method_id, run_config(params, profile, task_id, method_id).method)
            keys[folder / task_id / "samples.key"] = [store.key(*sample_recipe(config.samples))]
            flow = [store.key(*flow_recipe(config)), f"measured by {chosen.flow_draws} draws"]
            keys[folder / task_id / f"{method_id}-flow.key"] = flow
    pairs = [*itertools.product(chosen.tasks, chosen.methods), *anchor_pairs(chosen.tasks, chosen.unconstrained)]
    for task_id, method_id in pairs:
        runs = select(params, profile, [task_id], [method_id])
        keys[folder / task_id / f"{method_id}.key"] = [f"seed {run.seed}: {run.key(params)}" for run in runs]
    libraries = [f"{name} {version}" for name, version in library_versions().items()]
    for path, lines in keys.items():
        write_text(path, "\n".join([*lines, *libraries]) + "\n")
    return list(keys)


def make_samples(params: Params, profile: str, task_id: str, results: Path) -> Path:
    """Draw a task's samples unless they are kept; returns their file.

    Raises:
        UserError: If an id is unknown or a file is damaged.
    """
    torch.set_num_threads(1)
    task = make_task(task_id)
    if not params.profile(profile).flow_methods:
        raise UserError(f"profile '{profile}' has no method with a flow, so nothing to draw samples for")
    method = params.profile(profile).flow_methods[0]
    config = SampleConfig.model_validate(run_config(params, profile, task_id, method).method["samples"])
    store = ArtifactStore(results / profile, task)
    draw_samples(task, config, store)
    return store.path("samples")


def make_flows(params: Params, profile: str, task_id: str, methods: Sequence[str], results: Path) -> list[Path]:
    """Train and measure a task's flows, of the given methods or of all that the profile has.

    Returns:
        The files of the flows and of their reports.

    Raises:
        UserError: If an id is unknown, a method has no flow, or a file is damaged.
    """
    torch.set_num_threads(1)
    task, chosen = make_task(task_id), params.profile(profile)
    written = []
    for method in methods or chosen.flow_methods:
        config = run_config(params, profile, task_id, method).method
        store = ArtifactStore(results / profile, task)
        report = report_flow(task, method, config, store, profile, chosen.flow_draws)
        path = report_path(results / profile, method, task_id)
        report.write(path)
        written += [store.path(f"flows/{method}"), path]
    return written


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


def measure_visited(params: Params, profile: str, task_id: str, methods: Sequence[str], results: Path) -> list[Path]:
    """Measure a task's flows at the states that the policies trained with them visit; returns the reports.

    Methods are those named, or those of the profile that have a complete run.

    Raises:
        UserError: If an id is unknown, there is no complete run, or a file is damaged.
    """
    torch.set_num_threads(1)
    task, chosen = make_task(task_id), params.profile(profile)
    written = []
    found = {method: _runs(params, profile, task_id, method, results) for method in methods or chosen.flow_methods}
    with_runs = {method: runs for method, runs in found.items() if any(run.status == "complete" for run in runs)}
    for method, runs in (found if methods or not with_runs else with_runs).items():
        report = report_visited(task, runs, ArtifactStore(results / profile, task), chosen.flow_draws)
        written.append(report_path(results / profile, method, task_id, "visited"))
        report.write(written[-1])
    return written


def _runs(params: Params, profile: str, task_id: str, method: str, results: Path) -> list[RunResult]:
    paths = [run.path(results) for run in select(params, profile, [task_id], [method])]
    return [read_run(path) for path in paths if path.exists()]
