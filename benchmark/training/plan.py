"""What the pipeline's stages depend on: the keys of what they make, one file a stage."""

from __future__ import annotations

from pathlib import Path

from benchmark.records.config import Params, run_config
from benchmark.records.files import write_text
from benchmark.records.provenance import library_versions
from benchmark.records.runs import select
from benchmark.records.store import ArtifactStore
from benchmark.training.flows import flow_config
from benchmark.training.timing import step_keys
from envs.registry import make_task
from methods.flowpg import flow_recipe


def write_plan(params: Params, profile: str, results: Path) -> list[Path]:
    """Write, for each stage of the pipeline that trains or times, one file with the keys of what it makes.

    The files' contents are what DVC goes by, so that code may change without anything being made anew. Versions of
    libraries are among them: with other libraries everything is made anew.

    Returns:
        The files written.
    """
    chosen, folder = params.profile(profile), results / profile / "plan"
    keys = {"flows": flow_keys(params, profile, results), "timing": timing_keys(params, profile)}
    for task in dict.fromkeys([*chosen.tasks, *chosen.unconstrained]):
        runs = select(params, profile, [task])
        keys[f"train/{task}"] = [f"{run.method} seed {run.seed}: {run.key(params)}" for run in runs]
    libraries = [f"{name} {version}" for name, version in library_versions().items()]
    paths = {folder / f"{stage}.key": "\n".join([*lines, *libraries]) + "\n" for stage, lines in keys.items()}
    for path, text in paths.items():
        write_text(path, text)
    return list(paths)


def flow_keys(params: Params, profile: str, results: Path) -> list[str]:
    """A line for each flow of a profile: what it depends on, as one hash, and how it is measured."""
    chosen, lines = params.profile(profile), []
    for task in chosen.tasks:
        store = ArtifactStore(results / profile, make_task(task))
        for method in chosen.flow_methods:
            config = flow_config(method, run_config(params, profile, task, method).method)
            key = store.key(*flow_recipe(config))
            lines.append(f"{task} {method}: {key}, measured by {chosen.flow_draws} draws")
    return lines


def timing_keys(params: Params, profile: str) -> list[str]:
    """A line for each task and method that is timed."""
    tasks = params.profile(profile).tasks
    return [f"{task} {method}: {key}" for task in tasks for method, key in step_keys(params, profile, task).items()]
