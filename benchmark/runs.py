"""One run from its name to its JSON: what is to be run, where the result lies, and running it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from pydantic import ValidationError

from benchmark.anchors import anchor_pairs
from benchmark.checkpoint import EVERY_SECONDS, RunCheckpoint
from benchmark.config import Params, RunConfig, run_config, unequal_settings
from benchmark.evaluation import Evaluator
from benchmark.files import check_writable, file_lock
from benchmark.harness import Progress, train
from benchmark.keys import Versions, run_key, run_versions
from benchmark.provenance import collect_provenance, library_versions, run_code
from benchmark.results import DamagedFileError, Evaluation, RunResult, read_run
from benchmark.store import ArtifactStore, load_tensors, save_tensors, set_aside
from envs.errors import UserError
from envs.registry import make_task
from envs.seeding import derive_seed
from methods.base import make_method, method_class, parse_config

RESULTS = Path("results")
# Of settings that changed, so many are named.
SETTINGS_NAMED = 3
State = Literal["complete", "failed", "timeout", "stale", "missing"]


@dataclass(frozen=True)
class Run:
    """A run's name: profile, task, method and seed."""

    profile: str
    task: str
    method: str
    seed: int

    def path(self, results: Path) -> Path:
        """Where its JSON lies."""
        return results / self.profile / "runs" / self.task / self.method / f"seed-{self.seed}.json"

    def kept(self, results: Path, key: str) -> Path:
        """Where a copy of a complete JSON stays when the pipeline removes a stage's results to rerun it."""
        return results / self.profile / "kept" / f"{key}.json"

    def checkpoint(self, results: Path) -> Path:
        """Where the last state of its method lies."""
        return results / self.profile / "checkpoints" / self.task / self.method / f"seed-{self.seed}.safetensors"

    def unfinished(self, results: Path) -> Path:
        """Where a run that was interrupted left its state."""
        return (
            results / self.profile / "unfinished" / "runs" / self.task / self.method / f"seed-{self.seed}.safetensors"
        )

    def config(self, params: Params) -> RunConfig:
        """Its full configuration."""
        return run_config(params, self.profile, self.task, self.method)

    def key(self, params: Params) -> str:
        """What it depends on, as one hash."""
        return run_key(make_task(self.task), method_class(self.method), self.config(params), self.seed)

    def versions(self, params: Params) -> Versions:
        """Versions of all that it depends on, by name."""
        cls = method_class(self.method)
        return run_versions(make_task(self.task), cls, parse_config(cls, self.config(params).method))

    def code(self) -> str:
        """Hash of all code that bears on it, which is noted and is in no key."""
        return run_code(make_task(self.task), method_class(self.method))


def select(
    params: Params, profile: str, tasks: Sequence[str] = (), methods: Sequence[str] = (), seeds: Sequence[int] = ()
) -> Iterator[Run]:
    """The runs of a profile with those of its anchors, or of the given tasks, methods and seeds at its budget.

    Raises:
        UnknownIdError: If a profile, task or method is unknown.
    """
    chosen = params.profile(profile)
    pairs = list(itertools.product(tasks or chosen.tasks, methods or chosen.methods))
    if not tasks and not methods:
        pairs += anchor_pairs(chosen.tasks, chosen.unconstrained)
    for task, method in pairs:
        make_task(task)
        method_class(method)
        for seed in seeds or chosen.seeds:
            yield Run(profile, task, method, seed)


def state_of(run: Run, params: Params, results: Path) -> tuple[State, str]:
    """Whether a run's result is there and is what the profile asks for today, and what is to be known of it."""
    path = run.path(results)
    if not path.exists():
        return "missing", ""
    result = read_run(path)
    if result.status != "complete":
        return result.status, result.error or ""
    if result.run_key != run.key(params):
        return "stale", why_stale(result, run, params)
    return "complete", "code changed since" if result.provenance.code_sha256 != run.code() else ""


def why_stale(result: RunResult, run: Run, params: Params) -> str:
    """What of a run was different when it was made, in words."""
    then = result.versions
    raised = [(name, version) for name, version in run.versions(params).items() if then.get(name) != version]
    if raised:
        return "; ".join(f"version of {name} is {version}, was {then.get(name, 'none')}" for name, version in raised)
    changed = list(unequal_settings(run.config(params).model_dump(mode="json"), result.config))
    told = [f"{name} is {now}, was {then}" for name, now, then in changed[:SETTINGS_NAMED]]
    if len(changed) > SETTINGS_NAMED:
        told.append(f"and {len(changed) - SETTINGS_NAMED} more settings")
    if told:
        return "; ".join(told)
    return "the task's environment or constraint has other parameters"


def set_damaged_aside(run: Run, params: Params, results: Path) -> list[str]:
    """Take a run's damaged JSON, or the kept copy of it, out of the way; a line for each that says so."""
    said = []
    for path in (run.path(results), run.kept(results, run.key(params))):
        if not path.exists():
            continue
        # Another sweep may be putting a whole one in its place.
        with file_lock(run.unfinished(results)):
            try:
                if path.exists():
                    read_run(path)
            except DamagedFileError:
                said.append(set_aside(path))
    return said


def restore(run: Run, params: Params, results: Path) -> bool:
    """Put a finished run's JSON back in its place if a copy of the same key and libraries was kept; says whether."""
    kept = run.kept(results, run.key(params))
    if not kept.exists():
        return False
    result = read_run(kept)
    if result.provenance.versions != library_versions():
        return False
    result.write(run.path(results))
    return True


def execute_missing(
    run: Run, params: Params, results: Path, progress: Progress, checkpoint_every: float = EVERY_SECONDS
) -> RunResult:
    """As :func:`execute`, unless another process completes the run meanwhile.

    Raises:
        UserError: If an id, a setting or a file is bad; nothing is written then.
    """
    with file_lock(run.unfinished(results)):
        if state_of(run, params, results)[0] == "complete":
            return read_run(run.path(results))
        return execute(run, params, results, progress, checkpoint_every)


def execute(
    run: Run, params: Params, results: Path, progress: Progress, checkpoint_every: float = EVERY_SECONDS
) -> RunResult:
    """Train, write the JSON and the method's last state, and return the result.

    A run that was interrupted goes on from its last checkpoint.

    Raises:
        UserError: If an id, a setting or a file is bad; nothing is written then.
    """
    torch.set_num_threads(1)
    config, key, provenance = run.config(params), run.key(params), collect_provenance(run.code())
    check_writable(run.path(results))
    checkpoint = RunCheckpoint(run.unfinished(results), key, checkpoint_every)
    outcome = train(make_task(run.task), run.method, config, run.seed, results / run.profile, progress, checkpoint)
    complete = outcome.status == "complete"
    result = RunResult(
        run_key=key,
        versions=run.versions(params),
        status=outcome.status,
        error=None if complete else f"gave up after {config.timeout_seconds} s of training",
        task=run.task,
        method=run.method,
        seed=run.seed,
        profile=run.profile,
        config=config.model_dump(mode="json"),
        returns=outcome.returns,
        final_policy=outcome.final_policy,
        violations=outcome.violations,
        curves=outcome.curves,
        visited=outcome.visited,
        calls=outcome.calls,
        seconds=outcome.seconds,
        provenance=provenance,
    )
    if complete:
        save_tensors(run.checkpoint(results), outcome.state, {"run_key": key})
        result.write(run.kept(results, key))
    result.write(run.path(results))
    checkpoint.remove()
    return result


def record_failure(run: Run, params: Params, results: Path, reason: str) -> None:
    """Write the JSON of a run that failed, so that nothing takes it for a result."""
    RunResult(
        run_key=run.key(params),
        versions=run.versions(params),
        status="failed",
        error=" ".join(reason.split())[:500],
        task=run.task,
        method=run.method,
        seed=run.seed,
        profile=run.profile,
        config=run.config(params).model_dump(mode="json"),
        provenance=collect_provenance(run.code()),
    ).write(run.path(results))


def error_line(error: BaseException) -> str:
    """One line for any error."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


def evaluate_checkpoint(result: RunResult, params: Params, results: Path, episodes: int, seed: int) -> Evaluation:
    """Episodes of a finished run's last policy.

    Raises:
        UserError: If its checkpoint is missing, damaged, or of another run, or the run is stale.
    """
    torch.set_num_threads(1)
    run = Run(result.profile, result.task, result.method, result.seed)
    if result.run_key != run.key(params):
        raise UserError(f"{run.path(results)} is stale ({why_stale(result, run, params)}); run it again")
    state, facts = load_tensors(run.checkpoint(results))
    if facts.get("run_key") != result.run_key:
        raise UserError(f"{run.checkpoint(results)} belongs to another run than the result; run it again")
    task = make_task(run.task)
    try:
        config = RunConfig.model_validate(result.config)
    except ValidationError as error:
        raise UserError(f"{run.path(results)} is damaged: its config is not that of a run; run it again") from error
    method = make_method(run.method, task, config.method, run.seed)
    method.prepare(ArtifactStore(results / run.profile, task))
    method.load_state_dict(state)
    evaluator = Evaluator(task)
    try:
        return evaluator.evaluate(method, config.steps, [derive_seed(seed, "evaluate", k) for k in range(episodes)])
    finally:
        evaluator.close()
