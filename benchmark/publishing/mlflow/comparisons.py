"""A comparison as a run of the MLflow experiment that the compared runs are in."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.analysis.comparison import Compared, Difference
from benchmark.publishing.mlflow.entries import METRICS_A_BATCH, WHOLE, batches, clean, is_whole, tag_of
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

if TYPE_CHECKING:
    from mlflow import MlflowClient

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
