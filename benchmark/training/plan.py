"""The dependencies of the pipeline's stages: the keys of their results, one file per stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.records.config import Params
from benchmark.records.files import write_text
from benchmark.records.provenance import library_versions
from benchmark.records.runs import select
from benchmark.training.flows import flow_key
from benchmark.training.timing import step_keys


def write_plan(params: Params, profile: str, results: Path, experiments: Mapping[str, Sequence[str]]) -> list[Path]:
    """Write one file with the keys of its results for each stage that trains or times, and return the files.

    DVC compares these files, so changed code alone makes nothing stale. Each file ends with the versions of libraries:
    other libraries make everything stale. ``experiments`` has the keys of the stages that run experiments, by stage.
    """
    chosen, keys = params.profile(profile), dict[str, list[str]]()
    keys["flows"] = [
        f"{task} {method}: {flow_key(params, profile, results, task, method)}, measured by {chosen.flow_draws} draws"
        for task in chosen.tasks
        for method in chosen.flow_methods
    ]
    steps = {task: step_keys(params, profile, task) for task in chosen.tasks}
    keys["timing"] = [f"{task} {method}: {key}" for task in steps for method, key in steps[task].items()]
    for task in dict.fromkeys([*chosen.tasks, *chosen.unconstrained]):
        runs = select(params, profile, [task])
        keys[f"train/{task}"] = [f"{run.method} seed {run.seed}: {run.key(params)}" for run in runs]
    keys |= {stage: list(of_stage) for stage, of_stage in experiments.items()}
    libraries = [f"{name} {version}" for name, version in library_versions().items()]
    paths = {stage: results / profile / "plan" / f"{stage}.key" for stage in keys}
    for stage, path in paths.items():
        write_text(path, "\n".join([*keys[stage], *libraries]) + "\n")
    return list(paths.values())
