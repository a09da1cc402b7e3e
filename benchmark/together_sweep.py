"""Sweeps in which the seeds of a task and method are trained as one batch, on a GPU or on a processor."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from benchmark.checkpoint import EVERY_SECONDS, RunCheckpoint
from benchmark.config import Params
from benchmark.files import check_writable, file_lock
from benchmark.harness import Outcome
from benchmark.provenance import collect_provenance, key_of
from benchmark.runs import Run, error_line, record_failure, state_of, together_code, write_outcome
from benchmark.sweep import move_to, progress_bar
from benchmark.together import check_device, train_together
from envs.registry import make_task
from methods.base import method_class
from methods.together import why_not_together


def split(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The runs that can be trained together with their other seeds, and those of methods that cannot."""
    batches: list[Run] = []
    single: list[Run] = []
    for run in runs:
        (single if why_not_together(method_class(run.method)) else batches).append(run)
    return batches, single


def sweep_together(
    runs: Sequence[Run], params: Params, results: Path, device: str, checkpoint_every: float = EVERY_SECONDS
) -> dict[Run, str]:
    """Execute all runs, the seeds of a task and method as one batch, batch after batch.

    A batch that was interrupted goes on from its last checkpoint, where it has one.

    Args:
        runs: What to run.
        params: Settings.
        results: Root folder of results.
        device: "cpu" or "cuda".
        checkpoint_every: Seconds between two checkpoints of a batch.

    Returns:
        Reason by run, for those that failed; that is in their JSON too.

    Raises:
        UserError: If there is no such device, or a file cannot be written.
    """
    torch.set_num_threads(1)
    check_device(device)
    batches: dict[tuple[str, str, str], list[Run]] = {}
    for run in runs:
        batches.setdefault((run.profile, run.task, run.method), []).append(run)
    failures: dict[Run, str] = {}
    for batch in batches.values():
        with ExitStack() as locks:
            for run in sorted(batch, key=lambda run: run.seed):
                locks.enter_context(file_lock(run.unfinished(results)))
            todo = [run for run in batch if state_of(run, params, results)[0] != "complete"]
            if todo:
                failures |= _execute(todo, params, results, device, checkpoint_every)
    return failures


def _execute(
    runs: Sequence[Run], params: Params, results: Path, device: str, checkpoint_every: float
) -> dict[Run, str]:
    """Train one batch and write what came of every seed."""
    first, config = runs[0], runs[0].config(params)
    provenance = collect_provenance().model_copy(update={"together": len(runs), "together_code": together_code()})
    for run in runs:
        check_writable(run.path(results))
    checkpoint = RunCheckpoint(unfinished(first, results), batch_key(runs, params, device), checkpoint_every)
    failures: dict[Run, str] = {}
    with progress_bar(len(runs) * config.steps, f"{first.task} {first.method}, {len(runs)} seeds together") as bar:
        done, move = [0] * len(runs), move_to(bar)

        def progress(place: int, step: int) -> None:
            done[place] = step
            move(sum(done))

        seeds = [run.seed for run in runs]
        folder = results / first.profile
        found: dict[int, Outcome | Exception]
        try:
            found = train_together(
                make_task(first.task), first.method, config, seeds, folder, progress, device, checkpoint=checkpoint
            )
        except Exception as reason:  # a method that does not apply, or that cannot be trained so: the others can
            found = dict.fromkeys(seeds, reason)
    for run in runs:
        outcome = found[run.seed]
        if isinstance(outcome, Outcome):
            error = write_outcome(run, run.key(params), config, provenance, outcome, results).error
            # What an earlier sweep, one by one, may have left.
            run.unfinished(results).unlink(missing_ok=True)
        else:
            error = error_line(outcome)
            record_failure(run, params, results, error)
        if error is not None:
            failures[run] = error
    checkpoint.remove()
    return failures


def unfinished(run: Run, results: Path) -> Path:
    """Where a batch that was interrupted left its state."""
    return results / run.profile / "unfinished" / "together" / run.task / f"{run.method}.safetensors"


def batch_key(runs: Sequence[Run], params: Params, device: str) -> str:
    """What the state of a batch depends on: every run of it, their order, the device, and the code that joins them."""
    return key_of({"runs": [run.key(params) for run in runs], "device": device, "code": together_code()})
