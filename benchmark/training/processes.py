"""Many runs side by side, each in its own process with one thread: a run that dies does not stop the others."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn, TypeVar

from tqdm import tqdm

from benchmark.records.config import Params
from benchmark.records.runs import Run
from benchmark.records.store import EVERY_SECONDS
from benchmark.training.progress import progress_bar, skip
from benchmark.training.runs import Tracker, error_line, execute_missing, record_failure
from envs.errors import UserError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
# Modules that a worker imports before it starts. Torch's are those that the first optimizer imports.
PRELOADED = ["benchmark.training.runs", "envs.constraints.solver", "methods.flowpg", "torch._dynamo"]

Item = TypeVar("Item")
Made = TypeVar("Made")


@dataclass(frozen=True)
class _Error:
    """Why a run has no result, and whether its JSON says so already."""

    reason: str
    recorded: bool


@dataclass
class _Worker:
    run: Run
    process: BaseProcess
    reports: Connection
    done: int = 0
    error: _Error | None = None
    died: bool = False


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def sweep(
    runs: Sequence[Run],
    params: Params,
    results: Path,
    jobs: int,
    checkpoint_every: float = EVERY_SECONDS,
    tracker: Tracker | None = None,
) -> dict[Run, str]:
    """Execute all runs, ``jobs`` at a time; failures are recorded in their JSON and do not stop the others.

    A run whose process dies is restarted once from its last checkpoint; checkpoints are at least ``checkpoint_every``
    seconds apart. A tracker, which is sent to the processes, shows runs while they train.

    Returns:
        Reasons by failed run.
    """
    use_one_thread()
    steps = {run: run.config(params).steps for run in runs}
    failures: dict[Run, str] = {}
    waiting, working, again = list(runs), list[_Worker](), set[Run]()
    with stop_on_sigterm(), progress_bar(sum(steps.values())) as bar:
        try:
            while waiting or working:
                while waiting and len(working) < jobs:
                    working.append(_start(waiting.pop(0), params, results, checkpoint_every, tracker))
                names = ", ".join(f"{worker.run.task} {worker.run.method} {worker.run.seed}" for worker in working)
                bar.set_description(names, refresh=False)
                for worker in _listen(working, bar):
                    working.remove(worker)
                    if worker.died and worker.run not in again:
                        again.add(worker.run)
                        waiting.insert(0, worker.run)
                        skip(bar, -worker.done)
                        continue
                    bar.update(steps[worker.run] - worker.done)
                    if worker.error is not None:
                        failures[worker.run] = worker.error.reason
                        if not worker.error.recorded:
                            failures[worker.run] = record_failure(worker.run, params, results, worker.error.reason)
        finally:
            for worker in working:
                worker.process.terminate()
            for worker in working:
                worker.process.join()
    return failures


def _start(run: Run, params: Params, results: Path, checkpoint_every: float, tracker: Tracker | None) -> _Worker:
    # A worker inherits this: Ctrl-C while it starts ends it through the sweep, without a traceback.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        context = prepared_context()
        reports, sender = context.Pipe(duplex=False)
        arguments = (run, params, results, checkpoint_every, tracker, sender)
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
    sender.close()
    return _Worker(run, process, reports)


def prepared_context() -> ForkServerContext:
    """Processes forked from one that has imported everything: imports cost time once, and no threads are inherited."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with same_imports():
        forkserver.ensure_running()
    return context


def _listen(working: list[_Worker], bar: tqdm[NoReturn]) -> Iterator[_Worker]:
    """Process the workers' reports until some have ended, and yield those."""
    by_pipe = {worker.reports: worker for worker in working}
    for pipe in wait(list(by_pipe)):
        worker = by_pipe[pipe]  # type: ignore[index]
        try:
            report = worker.reports.recv()
        except (EOFError, OSError):  # OSError if it was killed in the middle of a report
            worker.process.join()
            if worker.error is None and worker.process.exitcode != 0:
                code = worker.process.exitcode
                worker.died = True
                reason = f"the process died twice, the last time with exit code {code} (killed, or out of memory)"
                worker.error = _Error(reason, recorded=False)
            yield worker
            continue
        if isinstance(report, int):
            if worker.done == 0:
                skip(bar, report)
            else:
                bar.update(report - worker.done)
            worker.done = report
        else:
            worker.error = report


def _work(
    run: Run,
    params: Params,
    results: Path,
    checkpoint_every: float,
    tracker: Tracker | None,
    reports: Connection,
) -> None:
    """The main function of a worker, which reports steps done as numbers, and an error."""
    _leave_in_order()
    every = max(1, run.config(params).steps // 200)

    def progress(step: int) -> None:
        if step % every == 0:
            try:
                reports.send(step)
            except BrokenPipeError:  # the sweep was killed: its next start resumes this run
                sys.exit(1)

    try:
        result = execute_missing(run, params, results, progress, checkpoint_every, tracker=tracker)
        report = None if result.error is None else _Error(result.error, recorded=True)
    except Exception as error:  # whatever a method raises is this run's failure, not the sweep's
        report = _Error(error_line(error), recorded=False)
    if report is not None:
        with contextlib.suppress(BrokenPipeError):
            reports.send(report)
    reports.close()


def side_by_side(
    work: Callable[[Item], Made], items: Sequence[Item], jobs: int | None = None, unit: str = "item"
) -> Iterator[Made]:
    """Call ``work`` on every item, ``jobs`` at a time, each in a process with one thread.

    By default there are as many processes as cores. A single job or item is done in this process. A bar counts finished
    items in units of ``unit``, with the time left.

    Yields:
        The results in the order of the items.

    Raises:
        UserError: The error of the first item that failed, after all others are done.
    """
    jobs = jobs or available_cores()
    with progress_bar(len(items), unit=unit) as bar:
        yield from _one_by_one(work, items, bar) if 1 in (jobs, len(items)) else _in_processes(work, items, jobs, bar)


def _one_by_one(work: Callable[[Item], Made], items: Sequence[Item], bar: tqdm[NoReturn]) -> Iterator[Made]:
    failures = list[Exception]()
    for item in items:
        try:
            made = work(item)
        except Exception as error:  # whatever it is, the other items continue
            failures.append(error)
        else:
            yield made
        bar.update()
    if failures:
        raise failures[0]


def _in_processes(
    work: Callable[[Item], Made], items: Sequence[Item], jobs: int, bar: tqdm[NoReturn]
) -> Iterator[Made]:
    use_one_thread()
    failures = list[Exception]()
    with stop_on_sigterm(), ProcessPoolExecutor(jobs, prepared_context(), _leave_in_order) as pool:
        try:
            waiting = [pool.submit(_plain_errors, work, item) for item in items]
            for done in waiting:
                done.add_done_callback(lambda _: bar.update())
            for done in waiting:
                try:
                    yield done.result()
                except BrokenProcessPool as error:
                    raise UserError("a process died (killed, or out of memory): use fewer --jobs") from error
                except Exception as error:  # whatever it is, the other items continue
                    failures.append(error)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    if failures:
        raise failures[0]


def _plain_errors(work: Callable[[Item], Made], item: Item) -> Made:
    """Call ``work``; a subclass of UserError becomes a plain UserError, which can be sent between processes."""
    try:
        return work(item)
    except UserError as error:
        raise UserError(str(error)) from None


def use_one_thread() -> None:
    """Limit processes started from now on to one core each."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"


def import_variables() -> dict[str, str]:
    """Environment variables for a Python that imports the same modules as this one.

    By default, a Python started with ``-c`` or ``-m`` looks in the working directory first.
    """
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)}


@contextmanager
def same_imports() -> Iterator[None]:
    """Start processes inside the context with the variables of :func:`import_variables`."""
    variables = import_variables()
    before = {name: os.environ.pop(name, None) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value


def _leave_in_order() -> None:
    """Let only the parent end this worker, by SIGTERM, which removes half-written files."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


@contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, which also ends child processes."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
