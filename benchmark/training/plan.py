"""What the pipeline's stages make apart from runs: the plan of keys, samples, and flows with their reports."""

from __future__ import annotations

import itertools
from pathlib import Path

from benchmark.records.config import Params, run_config
from benchmark.records.files import write_text
from benchmark.records.provenance import library_versions
from benchmark.records.runs import anchor_pairs, select
from benchmark.records.store import ArtifactStore
from benchmark.training.flows import flow_config
from envs.registry import make_task
from methods.flowpg import flow_recipe
from methods.flows.training import sample_recipe


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
