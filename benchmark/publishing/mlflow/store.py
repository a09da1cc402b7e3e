"""The store of MLflow, a database or a server: opening it, and writing what is shown as one run."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from benchmark.records.selection import one_line
from envs.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Item = TypeVar("Item")
LOCK_SECONDS = 60
BUSY_SECONDS = 5
# What MLflow takes at once.
RUNS_A_PAGE, PARAMS_A_BATCH, METRICS_A_BATCH = 1000, 100, 1000
TRIES = "2"
# What to do about an error of SQLite, by a word of its message; anything else is taken for damage.
HINTS = {
    "locked": "another program is writing to it; try again",
    "readonly": "check its permissions",
    "full": "free some space and import again",
    "": "it is only a view of the result files: delete it and import again",
}
SERVER_HINTS = {"": "check that it runs and that MLFLOW_TRACKING_URI is its address"}
# Of a name, at most.
NAME_LENGTH = 250
# Set last: a run without it is what an interrupted import left behind.
WHOLE = "import"


@dataclass(frozen=True)
class Entry:
    """What is shown as one run.

    Attributes:
        params: Name and text.
        metrics: Name, value and step.
        file: Name and text.
        ended_ms: When it ended; now if it is None.
    """

    name: str
    tags: dict[str, str]
    metrics: list[tuple[str, float, int]]
    file: tuple[str, str]
    started_ms: int
    ended_ms: int | None = None
    params: list[tuple[str, str]] = field(default_factory=list)
    status: str = "FINISHED"


def write_entry(client: MlflowClient, experiment: str, entry: Entry) -> None:
    """Write one entry; it counts only once its last tag is there."""
    from mlflow.entities import Metric, Param

    tags = {clean(name): text for name, text in entry.tags.items()}
    row = client.create_run(experiment, start_time=entry.started_ms, tags=tags, run_name=entry.name)
    run_id = row.info.run_id
    for some in batches(entry.params, PARAMS_A_BATCH):
        client.log_batch(run_id, params=[Param(clean(name), text) for name, text in some])
    for points in batches(entry.metrics, METRICS_A_BATCH):
        metrics = [Metric(clean(name), value, entry.started_ms, step) for name, value, step in points]
        client.log_batch(run_id, metrics=metrics)
    name, text = entry.file
    client.log_text(run_id, text, name)
    client.set_terminated(run_id, entry.status, entry.ended_ms)
    client.set_tag(run_id, WHOLE, "complete")


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Pieces no longer than MLflow takes at once."""
    return (items[start : start + size] for start in range(0, len(items), size))


def clean(name: str) -> str:
    """A name that MLflow accepts, another one for every other name.

    A character that it refuses, and each colon, becomes its number in hexadecimal digits between colons; so do the dots
    of a part ``.`` or ``..``. An empty part becomes a colon, and a long name ends with its hash.
    """
    parts = [re.sub(r"[^\w.\- ]", lambda found: f":{ord(found[0]):02x}:", part) or ":" for part in name.split("/")]
    found = "/".join(part.replace(".", ":2e:") if part in {".", ".."} else part for part in parts)
    return found if len(found) <= NAME_LENGTH else f"{found[:180]}:{hashlib.sha256(name.encode()).hexdigest()}"


def tag_of(row: Run, name: str) -> str:
    """A tag of a run in MLflow; empty where it has none."""
    return str(row.data.tags.get(name, ""))


def is_whole(row: Run) -> bool:
    """Whether a run was written to its end."""
    return tag_of(row, WHOLE) == "complete"


@contextmanager
def open_experiment(profile: str, database: Path, server: str | None) -> Iterator[tuple[MlflowClient, str]]:
    """A client of the store, and the id of the profile's experiment there, which is made or restored as needed.

    The store is the database, made if it is missing, with artifacts beside it; or, if there is one, the server, which
    keeps artifacts where it likes.

    Raises:
        UserError: If the database is locked, damaged or cannot be written, or the server does not answer or refuses.
    """
    name = f"acrl/{profile}"
    if server:
        # MLflow would try for minutes before it says that nobody answers, and print two lines for every run.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", TRIES)
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        with one_line_errors(f"the MLflow server {server}", SERVER_HINTS):
            client = connect(server)
            yield client, experiment_id(client, name, None)
        return
    database = database.resolve()
    with exclusive(database), one_line_errors(f"the MLflow database {database}", HINTS):
        if not database.exists():
            create_database(database)
        check_database(database)
        client = connect(sqlite_uri(database))
        yield client, experiment_id(client, name, (artifact_root(database) / profile).as_uri())


def connect(uri: str) -> MlflowClient:
    """A client of a database or server."""
    from mlflow import MlflowClient

    # Making a database logs a line for each of some fifty migrations, and errors are raised besides being logged.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=uri)


def create_database(database: Path) -> None:
    """Make an empty database aside and rename it: one that was killed while it was made would be useless."""
    temporary = database.with_name(f".{database.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        connect(sqlite_uri(temporary))
        temporary.replace(database)
    finally:
        temporary.unlink(missing_ok=True)


def check_database(database: Path) -> None:
    """Refuse a database that is damaged, locked or read-only, which MLflow would retry for minutes before saying so.

    Raises:
        sqlite3.Error: If it is.
    """
    connection = sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    finally:
        connection.close()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    """The id of the experiment, made or restored as needed."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return str(client.create_experiment(name, artifact_location=artifacts))
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return str(experiment.experiment_id)


def list_runs(client: MlflowClient, experiment: str) -> list[Run]:
    """All runs of an experiment that are not deleted."""
    rows: list[Run] = []
    token = None
    while True:
        page = client.search_runs([experiment], max_results=RUNS_A_PAGE, page_token=token)
        rows += page
        token = page.token
        if not token:
            return rows


def sqlite_uri(database: Path) -> str:
    """The database's address; an absolute one, since MLflow reads relative ones from the working directory."""
    from sqlalchemy.engine import URL

    # The driver is named, since MLflow makes a folder of what follows "sqlite:///", quoted as it is.
    return URL.create("sqlite+pysqlite", database=str(database.resolve())).render_as_string()


def artifact_root(database: Path) -> Path:
    """The folder of artifacts, beside the database."""
    return database.resolve().parent / "artifacts"


@contextmanager
def exclusive(database: Path) -> Iterator[None]:
    """Hold the lock of the database: of two processes that make it at once, one fails in CREATE TABLE.

    Raises:
        UserError: If another import holds it, or its folder cannot be written.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(database.with_name(f".{database.name}.lock"), timeout=LOCK_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise UserError(f"another import into {database} is running; try again when it is done") from error
    except OSError as error:
        raise UserError(f"cannot write to {database.parent}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def one_line_errors(place: str, hints: Mapping[str, str]) -> Iterator[None]:
    """Turn what SQLite and MLflow raise about a place into a UserError that says what to do, by a word of theirs."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # Importing MLflow takes seconds, which no other command should wait for.
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        message = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        hint = next(hint for word, hint in hints.items() if word in message)
        raise UserError(f"cannot use {place}: {one_line(message)}; {hint}") from error
