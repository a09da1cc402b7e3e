"""Executes one run, from its name to its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from benchmark.records.config import Params, RunConfig
from benchmark.records.files import check_writable, file_lock, write_bytes
from benchmark.records.provenance import collect_provenance
from benchmark.records.results import Evaluation, Provenance, RunResult, Violations, read_run
from benchmark.records.runs import Run, state_of
from benchmark.records.store import EVERY_SECONDS, RunCheckpoint, artifact_paths, save_tensors
from benchmark.training.harness import Outcome, Progress, train
from envs.errors import UserError
from envs.registry import make_task

End = Literal["complete", "failed", "timeout", "interrupted"]


class Live(Protocol):
    """Shows one run while it trains. It never raises, since a display must not affect a run."""

    def __call__(
        self, evaluations: Sequence[Evaluation], curves: Mapping[str, Sequence[float | None]], violations: Violations
    ) -> None:
        """Called after each evaluation with the results so far."""

    def end(self, status: End, path: Path, result: RunResult | None = None) -> None:
        """Called once, with the run's result and the path of its JSON, if there is one."""


class Tracker(Protocol):
    """Shows runs while they train."""

    def begin(self, run: Run, key: str, config: RunConfig, origin: Provenance) -> Live:
        """A display of one run."""


def execute_missing(
    run: Run,
    params: Params,
    results: Path,
    progress: Progress,
    checkpoint_every: float = EVERY_SECONDS,
    force: bool = False,
    tracker: Tracker | None = None,
) -> RunResult:
    """As :func:`execute`, one process at a time, unless the run is complete already; ``force`` repeats it.

    Raises:
        UserError: If an id, a setting or a file is bad; nothing is written then.
    """
    with file_lock(run.unfinished(results), str(run)):
        if not force and state_of(run, params, results)[0] == "complete":
            return read_run(run.path(results))
        return execute(run, params, results, progress, checkpoint_every, tracker)


def execute(
    run: Run,
    params: Params,
    results: Path,
    progress: Progress,
    checkpoint_every: float = EVERY_SECONDS,
    tracker: Tracker | None = None,
) -> RunResult:
    """Train, write the JSON and the method's last state, and return the result.

    An interrupted run resumes from its last checkpoint. A tracker shows the run while it trains.

    Raises:
        UserError: If an id, a setting or a file is bad; nothing is written then.
    """
    torch.set_num_threads(1)
    config, key, provenance = run.config(params), run.key(params), provenance_of(run)
    check_writable(run.path(results))
    checkpoint = RunCheckpoint(run.unfinished(results), key, checkpoint_every)
    live = None if tracker is None else tracker.begin(run, key, config, provenance)
    try:
        outcome = _train(run, config, results, progress, checkpoint, live)
    except BaseException as caught:
        if live is not None:
            live.end("failed" if isinstance(caught, Exception) else "interrupted", run.path(results))
        raise
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
    if live is not None:
        live.end(outcome.status, run.path(results), result)
    return result


def _train(
    run: Run, config: RunConfig, results: Path, progress: Progress, checkpoint: RunCheckpoint, live: Live | None
) -> Outcome:
    task, artifacts = make_task(run.task), artifacts_of(run, results)
    return train(task, run.method, config, run.seed, artifacts, progress, checkpoint, watch=live)


def provenance_of(run: Run) -> Provenance:
    """The provenance of a run made now."""
    return collect_provenance(run.code()).model_copy(update={"given": list(run.given) or None})


def artifacts_of(run: Run, results: Path) -> Path:
    """The folder of a run's artifacts: the profile's, or a copy of it if the run has settings of its own.

    Such a run may train another flow, which must not replace the profile's.
    """
    folder, own = results / run.profile, run.changed(results)
    if not run.given:
        return folder
    for path in artifact_paths(folder, run.task):
        copy = own / path.relative_to(folder)
        if not copy.exists():
            write_bytes(copy, path.read_bytes())
    return own


def record_failure(run: Run, params: Params, results: Path, reason: str) -> str:
    """Write the JSON of a failed run, which no command takes for a result, and return why the run failed.

    The reason says so if the JSON cannot be written, since that must not stop other runs.
    """
    error, provenance = " ".join(reason.split())[:500], provenance_of(run)
    try:
        _result(run, params, status="failed", error=error, provenance=provenance).write(run.path(results))
    except UserError as unwritten:
        return f"{reason}; {unwritten}"
    return reason


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
