"""Runs one run, from its name to its JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmark.records.config import Params
from benchmark.records.files import check_writable, file_lock, write_bytes
from benchmark.records.provenance import collect_provenance
from benchmark.records.results import Provenance, RunResult, read_run
from benchmark.records.runs import Run, state_of
from benchmark.records.store import EVERY_SECONDS, RunCheckpoint, save_tensors
from benchmark.training.harness import Progress, train
from envs.errors import UserError
from envs.registry import make_task


def execute_missing(
    run: Run,
    params: Params,
    results: Path,
    progress: Progress,
    checkpoint_every: float = EVERY_SECONDS,
    force: bool = False,
) -> RunResult:
    """As :func:`execute`, one process at a time, unless the run is complete by then; ``force`` makes it in any case.

    Raises:
        UserError: If an id, a setting or a file is bad; nothing is written then.
    """
    with file_lock(run.unfinished(results), str(run)):
        if not force and state_of(run, params, results)[0] == "complete":
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
    config, key, provenance = run.config(params), run.key(params), provenance_of(run)
    check_writable(run.path(results))
    checkpoint = RunCheckpoint(run.unfinished(results), key, checkpoint_every)
    outcome = train(make_task(run.task), run.method, config, run.seed, artifacts_of(run, results), progress, checkpoint)
    complete = outcome.status == "complete"
    error = None if complete else f"gave up after {config.timeout_seconds} s of training"
    measured = {name: value for name, value in vars(outcome).items() if name != "state"}
    result = _result(run, params, error=error, provenance=provenance, **measured)
    if complete:
        save_tensors(run.checkpoint(results), outcome.state, {"run_key": key})
        if run.out is None:
            result.write(run.kept(results, key))
    result.write(run.path(results))
    checkpoint.remove()
    return result


def provenance_of(run: Run) -> Provenance:
    """Where a run that is made now comes from."""
    return collect_provenance(run.code()).model_copy(update={"given": list(run.given) or None})


def artifacts_of(run: Run, results: Path) -> Path:
    """The folder of what a run prepares: the profile's; with settings of its own, one that begins with a copy of that.

    Its flow may be another one, which must not replace the profile's.
    """
    folder, own = results / run.profile, run.changed(results)
    if not run.given:
        return folder
    kept = [folder / "samples" / f"{run.task}.safetensors", *folder.glob(f"flows/*/{run.task}.safetensors")]
    for path in kept:
        copy = own / path.relative_to(folder)
        if path.exists() and not copy.exists():
            write_bytes(copy, path.read_bytes())
    return own


def record_failure(run: Run, params: Params, results: Path, reason: str) -> None:
    """Write the JSON of a run that failed, so that nothing takes it for a result."""
    error, provenance = " ".join(reason.split())[:500], provenance_of(run)
    _result(run, params, status="failed", error=error, provenance=provenance).write(run.path(results))


def _result(run: Run, params: Params, **found: Any) -> RunResult:
    return RunResult(
        run_key=run.key(params),
        versions=run.versions(params),
        task=run.task,
        method=run.method,
        seed=run.seed,
        profile=run.profile,
        config=run.config(params).model_dump(mode="json"),
        **found,
    )


def error_line(error: BaseException) -> str:
    """One line for any error."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"
