"""What MLflow shows of one run and of one comparison: parameters, metrics, tags and the JSON itself."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.analysis.comparison import Compared, Difference
from benchmark.publishing.mlflow.importing import (
    HINTS,
    SERVER_HINTS,
    TRIES,
    artifact_root,
    check_database,
    connect,
    create_database,
    exclusive,
    experiment_id,
    list_runs,
    one_line_errors,
    sqlite_uri,
)
from benchmark.records.config import flatten
from benchmark.records.results import RunResult
from benchmark.records.selection import one_line
from envs.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


PARAMS_A_BATCH = 100
METRICS_A_BATCH = 1000
# Set last: a run without it is what an interrupted import left behind.
WHOLE = "import"
STATUS = {"complete": "FINISHED", "failed": "FAILED", "timeout": "KILLED"}


@dataclass(frozen=True)
class StoredRun:
    """A run with its file.

    Attributes:
        sha256: Hash of the file: a run made again has the same key, but other seconds.
    """

    path: Path
    result: RunResult
    sha256: str
    started_ms: int

    @classmethod
    def of(cls, path: Path, result: RunResult) -> StoredRun:
        """Read what is needed besides the result.

        Raises:
            UserError: If the time at which the run started is none.
        """
        try:
            started = datetime.fromisoformat(result.provenance.started)
        except ValueError as error:
            raise UserError(f"{path} is damaged at 'provenance.started': not a time; run it again") from error
        return cls(path, result, hashlib.sha256(path.read_bytes()).hexdigest(), int(started.timestamp() * 1000))

    @property
    def identity(self) -> tuple[str, str]:
        """What makes two imports the same."""
        return self.result.run_key, self.sha256


def tag_of(row: Run, name: str) -> str:
    """A tag of a run in MLflow; empty where it has none."""
    return str(row.data.tags.get(name, ""))


def is_whole(row: Run) -> bool:
    """Whether the import of a run was finished."""
    return tag_of(row, WHOLE) == "complete"


def import_run(client: MlflowClient, experiment: str, run: StoredRun) -> None:
    """Write one run; it counts as imported only once its last tag is there."""
    from mlflow.entities import Metric, Param

    result, start = run.result, run.started_ms
    name = f"{result.task} {result.method} seed {result.seed}"
    row = client.create_run(experiment, start_time=start, tags=tags(run), run_name=name)
    run_id = row.info.run_id
    params = [Param(clean(key), text) for key, text in flatten(result.config)]
    for some in batches(params, PARAMS_A_BATCH):
        client.log_batch(run_id, params=some)
    values = [Metric(clean(key), value, start, step) for key, value, step in metrics(result)]
    for some in batches(values, METRICS_A_BATCH):
        client.log_batch(run_id, metrics=some)
    client.log_artifact(run_id, str(run.path))
    seconds = result.seconds.total + result.seconds.evaluate
    client.set_terminated(run_id, STATUS[result.status], start + int(1000 * seconds))
    client.set_tag(run_id, WHOLE, "complete")


def batches(items: list[Any], size: int) -> Iterator[list[Any]]:
    """Pieces of a list no longer than MLflow takes at once."""
    return (items[start : start + size] for start in range(0, len(items), size))


def tags(run: StoredRun) -> dict[str, str]:
    """What runs are found and told apart by."""
    result, provenance = run.result, run.result.provenance
    found = {
        "run_key": result.run_key,
        "json_sha256": run.sha256,
        "task": result.task,
        "method": result.method,
        "seed": result.seed,
        "profile": result.profile,
        "status": result.status,
        "error": one_line(result.error) if result.error else None,
        "commit": provenance.commit,
        "dirty": provenance.dirty,
        "diff_sha256": provenance.diff_sha256,
        "lock_sha256": provenance.lock_sha256,
        "processor": provenance.processor,
        "accelerator": provenance.accelerator,
        "threads": provenance.threads,
        "started": provenance.started,
    }
    versions = {f"version.{name}": version for name, version in provenance.versions.items()}
    return {clean(name): str(value) for name, value in (found | versions).items() if value is not None}


def metrics(result: RunResult) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of every curve point and of every final number."""
    if result.returns is not None:
        for evaluation in result.returns.evaluations:
            yield "evaluation/return", evaluation.mean, evaluation.step
        yield "final/return", result.returns.final.mean, result.returns.final.step
        yield "best/return", result.returns.best.mean, result.returns.best.step
    steps = result.curves.get("step", [])
    for name, values in result.curves.items():
        pairs = zip(steps, values, strict=True) if name != "step" else ()
        yield from ((f"training/{name}", v, int(s)) for s, v in pairs if s is not None and v is not None)
    if result.violations is not None:
        for actions, count in result.violations:
            yield from numbers(f"violations/{actions}", count.model_dump())
    yield from numbers("seconds", result.seconds.model_dump())
    yield from numbers("calls", result.calls.model_dump())


def numbers(prefix: str, values: dict[str, Any]) -> Iterator[tuple[str, float, int]]:
    """The numbers of a record, at step 0."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from numbers(f"{prefix}/{name}", value)
        else:
            yield f"{prefix}/{name}", float(value), 0


def clean(name: str) -> str:
    """A name that MLflow accepts."""
    return re.sub(r"[^/\w.\- :]", "_", name)


# Not "run_key": an import of runs deletes what has a key that no file on disk has.
KEY = "comparison_key"


def log_comparison(compared: Compared, database: Path, server: str | None) -> bool:
    """Make the profile's experiment show a comparison; one that it shows already changes nothing.

    Args:
        compared: The comparison.
        database: SQLite file, made if it is missing; artifacts are kept beside it.
        server: Address of a store to use instead.

    Returns:
        Whether it is new.

    Raises:
        UserError: If the store cannot be used.
    """
    with _store(compared.profile, database, server) as (client, artifacts):
        experiment = experiment_id(client, f"acrl/{compared.profile}", artifacts)
        for row in list_runs(client, experiment):
            if tag_of(row, KEY) == compared.key:
                if is_whole(row):
                    return False
                client.delete_run(row.info.run_id)
        _log(client, experiment, compared)
        return True


@contextmanager
def _store(profile: str, database: Path, server: str | None) -> Iterator[tuple[MlflowClient, str | None]]:
    """A client of the store, and where artifacts of a new experiment go."""
    if server:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", TRIES)
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        with one_line_errors(f"the MLflow server {server}", SERVER_HINTS):
            yield connect(server), None
        return
    database = database.resolve()
    with exclusive(database), one_line_errors(f"the MLflow database {database}", HINTS):
        if not database.exists():
            create_database(database)
        check_database(database)
        yield connect(sqlite_uri(database)), (artifact_root(database) / profile).as_uri()


def _log(client: MlflowClient, experiment: str, compared: Compared) -> None:
    """Write one comparison; it counts only once its last tag is there."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    tags = {KEY: compared.key, "kind": "comparison", "a": compared.a, "b": compared.b, "profile": compared.profile}
    row = client.create_run(experiment, start_time=now, tags=tags, run_name=f"{compared.a} / {compared.b}"[:250])
    run_id = row.info.run_id
    values = [Metric(clean(name), value, now, 0) for one in compared.differences for name, value in _metrics(one)]
    for some in batches(values, METRICS_A_BATCH):
        client.log_batch(run_id, metrics=some)
    client.log_text(run_id, compared.model_dump_json(indent=1), "comparison.json")
    client.set_terminated(run_id)
    client.set_tag(run_id, WHOLE, "complete")


def _metrics(one: Difference) -> Iterator[tuple[str, float]]:
    """Name and value of what is known of a difference."""
    method = "" if one.method_a != one.method_b else f"{one.method_a}/"
    tolerance = "" if one.tolerance is None else f"/{one.tolerance:g}"
    name = f"{one.task}/{method}{one.quantity}{tolerance}"
    for part in ("a", "b", "difference", "low", "high"):
        value = getattr(one, part)
        if value is not None:
            yield f"{name}/{part}", value
