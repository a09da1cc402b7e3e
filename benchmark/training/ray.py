"""Many runs on a Ray cluster, or on a local Ray: results come back to the caller's store.

Workers need this package at the same commit and share no folder with the caller: artifacts are sent to them, and
results are sent back. An optional extra: ``pip install 'acrl-bench[ray]'``.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.records.config import Params
from benchmark.records.files import write_bytes
from benchmark.records.results import RunResult, parse_record
from benchmark.records.runs import Run
from benchmark.records.store import ArtifactStore, artifact_paths
from benchmark.training.processes import same_imports, use_one_thread
from benchmark.training.progress import progress_bar
from benchmark.training.runs import error_line, execute_missing, record_failure
from envs.errors import UserError
from envs.registry import make_task
from methods.base import Method, make_method, method_class

# Content of files by path below the folder of all results.
Files = dict[str, bytes]


def sweep_on_ray(
    runs: Sequence[Run], params: Params, results: Path, jobs: int, address: str | None, checkpoint_every: float
) -> dict[Run, str]:
    """As :func:`benchmark.training.processes.sweep`, on Ray.

    A run whose worker dies only resumes from its last checkpoint if it is restarted on the same machine.

    Without an address, a local Ray is started for the sweep, with ``jobs`` runs at a time. A cluster has its own number
    of processors.

    Raises:
        UserError: If Ray is not installed, or there is no cluster at the address.
    """
    ray = _start(jobs, address)
    try:
        return _Sweep(ray, params, results, checkpoint_every).run(runs)
    finally:
        ray.shutdown()


def _start(jobs: int, address: str | None) -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    use_one_thread()
    try:
        import ray
    except ImportError as error:
        raise UserError("--executor ray needs Ray: pip install 'acrl-bench[ray]'") from error
    try:
        here: dict[str, Any] = {"num_cpus": jobs, "include_dashboard": False, "logging_level": logging.ERROR}
        # As for a job sent from elsewhere: workers do not look in the working directory first.
        job = ray.job_config.JobConfig(_client_job=True)
        with same_imports():
            ray.init(**({"address": address} if address else here), log_to_driver=False, job_config=job)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"no Ray cluster at {address}: {error_line(error)}") from error
    return ray


class _Sweep:
    """Pending work on the cluster, by Ray's references."""

    def __init__(self, ray: Any, params: Params, results: Path, checkpoint_every: float) -> None:
        self.ray = ray
        self.params = params
        self.results = results
        self.checkpoint_every = checkpoint_every
        # Ray retries after a worker dies, not after an error in a run.
        self.prepare = ray.remote(num_cpus=1, max_retries=1)(_prepare)
        self.train = ray.remote(num_cpus=1, max_retries=1)(_train)

    def run(self, runs: Sequence[Run]) -> dict[Run, str]:
        """Execute all runs; runs with the same preparation wait for it, the others do not."""
        failures: dict[Run, str] = {}
        prepared: dict[tuple[str, str, str], tuple[Files, Any]] = {}
        for run in runs:
            group = (run.profile, run.task, run.method)
            if group not in prepared:
                prepared[group] = self._prepared(run)
        with progress_bar(sum(run.config(self.params).steps for run in runs)) as bar:
            waiting = {}
            for run in runs:
                _, ready = prepared[run.profile, run.task, run.method]
                waiting[self.train.remote(run, self.params, ready, self.checkpoint_every)] = run
            while waiting:
                done, _ = self.ray.wait(list(waiting))
                for reference in done:
                    run = waiting.pop(reference)
                    reason, recorded = self._take(run, reference)
                    bar.update(run.config(self.params).steps)
                    if reason:
                        failures[run] = reason if recorded else record_failure(run, self.params, self.results, reason)
            for (profile, *_), (sent, reference) in prepared.items():
                self._keep(profile, sent, reference)
        return failures

    def _prepared(self, run: Run) -> tuple[Files, Any]:
        """The files that exist already, and a reference to those with which a run starts."""
        if method_class(run.method).prepare is Method.prepare:
            return {}, self.ray.put({})
        here = _artifacts(self.results / run.profile, run.task)
        return here, self.prepare.remote(run, self.params, here)

    def _take(self, run: Run, reference: Any) -> tuple[str, bool]:
        """Write a run's files below the caller's results; return why it has no result, and whether its JSON says so."""
        try:
            files, error = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as failed:  # of the preparation: a run's errors come back as text
            return f"its preparation failed: {error_line(failed.cause)}", False
        except self.ray.exceptions.RayError as died:
            return f"the worker died: {error_line(died)[:300]}", False
        if error:
            return str(error), False
        try:
            return self._write(run, files), True
        except UserError as failed:
            return str(failed), False

    def _write(self, run: Run, files: Files) -> str:
        """Write a run's files below the caller's results, its JSON last, and return the error in it.

        Raises:
            UserError: If the run was made by another version of this package, or a file cannot be written.
        """
        path = run.path(self.results)
        name = str(path.relative_to(self.results))
        result = parse_record(files[name], path, RunResult)
        if result.run_key != run.key(self.params):
            raise UserError("the worker has another version of this package: install the same commit everywhere")
        for made, content in sorted(files.items(), key=lambda item: item[0] == name):
            write_bytes(self.results / made, content)
        return result.error or ""

    def _keep(self, profile: str, sent: Files, reference: Any) -> None:
        """Store artifacts that were made elsewhere, and those made anew because the ones that were sent are stale."""
        try:
            files = self.ray.get(reference)
        except self.ray.exceptions.RayError:
            return
        for path, content in files.items():
            if content != sent.get(path):
                write_bytes(self.results / profile / path, content)


def _artifacts(folder: Path, task: str) -> Files:
    """Samples and flows of a task below the folder of a profile."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in artifact_paths(folder, task)}


def _unpack(files: Files, folder: Path) -> None:
    for name, content in files.items():
        write_bytes(folder / name, content)


def _prepare(run: Run, params: Params, files: Files) -> Files:
    """On a worker: make the artifacts of a run's task and method, unless they are in ``files``."""
    with tempfile.TemporaryDirectory() as name:
        folder, task = Path(name), make_task(run.task)
        _unpack(files, folder)
        make_method(run.method, task, run.config(params).method, run.seed).prepare(ArtifactStore(folder, task))
        return _artifacts(folder, run.task)


def _train(run: Run, params: Params, files: Files, checkpoint_every: float) -> tuple[Files, str]:
    """On a worker: execute a run, and return its files, or why there are none."""
    # Named after the run, so a second attempt on this machine finds the first one's checkpoint.
    results = Path(tempfile.gettempdir()) / "acrl-ray" / run.key(params)
    _unpack(files, results / run.profile)
    try:
        execute_missing(run, params, results, lambda _: None, checkpoint_every)
        kept = [run.path(results), run.kept(results, run.key(params)), run.checkpoint(results)]
        made = {str(path.relative_to(results)): path.read_bytes() for path in kept if path.exists()}
    except Exception as error:  # whatever a method raises is this run's failure, not the sweep's
        return {}, error_line(error)
    finally:
        shutil.rmtree(results, ignore_errors=True)
    return made, ""
