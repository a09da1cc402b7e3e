"""The cost of a training step of each method, measured by the harness's own clock, with methods taking turns.

Runs that share a machine slow each other down, so their wall-clock does not compare. Here, each method has several
turns alone, in one process with one thread, so changes of the machine's speed affect all methods.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import psutil
import torch

from benchmark.records.config import EvaluationSettings, Params, RunConfig, run_config
from benchmark.records.files import check_writable
from benchmark.records.keys import key_of, training_facts
from benchmark.records.provenance import collect_provenance
from benchmark.records.reports import TimedRound, TimingReport, timing_path
from benchmark.records.results import read_record
from benchmark.records.yaml import merge
from benchmark.training.harness import train
from benchmark.training.runs import error_line
from envs.errors import MethodFailedError, UserError
from envs.registry import TaskSpec, make_task
from methods.base import method_class

# Learning starts with the first step, and ARAM soon has all its earlier critics, as in most of a real run. A pass
# through a frozen flow costs the same, however long it was trained.
SHORT_SETTINGS = {
    "warmup": 1,
    "snapshot_after": 0,
    "snapshot_every": 1,
    "samples": {"train": 2000, "test": 500, "rollout_steps": 500},
    "flow": {"updates": 50},
}
# Steps of the discarded first turn, as a share of the others: first calls compile, allocate and import.
WARM_UP_SHARE = 0.1


def time_steps(
    params: Params, profile: str, task_id: str, results: Path, progress: Callable[[int], None] = lambda _: None
) -> Path:
    """Time the training steps of a profile's methods on a task, and return the report's path.

    ``progress`` is called with the number of turns done.

    Raises:
        UserError: If an id or a setting is unknown, or the report cannot be written.
        MethodFailedError: If a method fails; nothing is written then.
    """
    torch.set_num_threads(1)
    task, chosen = make_task(task_id), params.profile(profile)
    path = timing_path(results / profile, task_id)
    check_writable(path)
    provenance, settings = collect_provenance(), chosen.timing
    configs = {method: _short_config(params, profile, task_id, method) for method in chosen.methods}
    rounds: dict[str, list[TimedRound]] = {method: [] for method in chosen.methods}
    with tempfile.TemporaryDirectory() as folder:
        for turn, method in enumerate(chosen.methods):
            steps = max(1, round(WARM_UP_SHARE * settings.steps))
            time_round(task, method, configs[method], steps, Path(folder))
            progress(turn + 1)
        for number in range(settings.rounds):
            # Back and forth, so a slow drift of the machine's speed favours no method.
            for turn, method in enumerate(chosen.methods[:: -1 if number % 2 else 1]):
                rounds[method].append(time_round(task, method, configs[method], settings.steps, Path(folder)))
                progress((number + 1) * len(chosen.methods) + turn + 1)
    TimingReport(
        task=task_id,
        profile=profile,
        steps=settings.steps,
        rounds=rounds,
        solvers={method: str(config.method.get("solver", "exact")) for method, config in configs.items()},
        flows=[method for method, config in configs.items() if "flow" in config.method],
        keys=step_keys(params, profile, task_id),
        provenance=provenance,
    ).write(path)
    return path


def turns(params: Params, profile: str) -> int:
    """Number of turns of :func:`time_steps` on one task."""
    chosen = params.profile(profile)
    return len(chosen.methods) * (chosen.timing.rounds + 1)


def timing_state(params: Params, profile: str, task_id: str, results: Path) -> Literal["complete", "stale", "missing"]:
    """Whether a task's timing exists and has today's versions; methods that were not timed do not count.

    Raises:
        UserError: If an id is unknown or the report is damaged.
    """
    path = timing_path(results / profile, task_id)
    if not path.exists():
        return "missing"
    keys = step_keys(params, profile, task_id)
    known = read_record(path, TimingReport).keys
    return "stale" if any(known[method] != keys[method] for method in known.keys() & keys.keys()) else "complete"


def _short_config(params: Params, profile: str, task_id: str, method: str) -> RunConfig:
    """A run's configuration for timing, with a minimum of preparation and evaluation."""
    config = run_config(params, profile, task_id, method)
    short = {name: value for name, value in SHORT_SETTINGS.items() if name in config.method}
    return config.model_copy(update={"method": merge(config.method, short), "timeout_seconds": None})


def step_keys(params: Params, profile: str, task_id: str) -> dict[str, str]:
    """The key of each method's timing on a task.

    Raises:
        UserError: If an id is unknown.
    """
    chosen, keys = params.profile(profile), {}
    for method in chosen.methods:
        config = _short_config(params, profile, task_id, method)
        step = training_facts(make_task(task_id), method_class(method), config.method)
        sizes = {"update_at": config.update_at, "timing": chosen.timing.model_dump(mode="json")}
        keys[method] = key_of({**step, **sizes})
    return keys


def time_round(task: TaskSpec, method: str, config: RunConfig, steps: int, artifacts: Path) -> TimedRound:
    """Train a method for ``steps`` steps and time them; preparation is kept in ``artifacts`` for the next round.

    Raises:
        MethodFailedError: If the method fails.
    """
    once = EvaluationSettings(every=steps, episodes=1, final_episodes=1)
    config = config.model_copy(update={"steps": steps, "evaluation": once})
    started, busy = time.perf_counter(), busy_seconds()
    try:
        seconds = train(task, method, config, 0, artifacts, lambda _: None).seconds
    except UserError:
        raise
    except Exception as error:  # whatever a method raises is its failure
        raise MethodFailedError(f"{method} on {task.id} failed: {error_line(error)}") from error
    busy_cores = max(0.0, (busy_seconds() - busy) / (time.perf_counter() - started))
    parts = {name: getattr(seconds, name) for name in ("act", "project", "env", "update")}
    parts["other"] = max(0.0, seconds.total - seconds.prepare - sum(parts.values()))
    return TimedRound(**{name: spent / steps for name, spent in parts.items()}, busy_cores=busy_cores)


def busy_seconds() -> float:
    """Processor time that all processes but this one have used since the machine started."""
    machine, own = psutil.cpu_times(), psutil.Process().cpu_times()
    # User time already includes that of guests; a system without these figures has no such idle time.
    idle = machine.idle + getattr(machine, "iowait", 0.0)
    guests = getattr(machine, "guest", 0.0) + getattr(machine, "guest_nice", 0.0)
    return float(sum(machine) - idle - guests - own.user - own.system)
