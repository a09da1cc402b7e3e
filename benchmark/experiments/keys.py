"""What experiments of the pipeline train and sample besides the flows and runs of the profile."""

from __future__ import annotations

import itertools

from benchmark.experiments import c6, e2
from benchmark.records.config import Params
from benchmark.records.keys import key_of
from benchmark.records.runs import Run
from envs.registry import make_task


def experiment_keys(params: Params, profile: str) -> dict[str, list[str]]:
    """Lines that change when a task or an agent of an experiment does, by stage of the pipeline (dvc.yaml)."""
    tasks = [task for task in c6.TASKS if task in params.profile(profile).tasks]
    agents = [Run(profile, task, method, 0) for task, method in itertools.product(tasks, c6.METHODS)]
    return {
        "experiments": [f"c6 {run.task} {run.method}: {run.key(params)}" for run in agents],
        "samplers": [f"e2 {task}: {key_of(make_task(task).fingerprint())}" for task in e2.TASKS],
    }
