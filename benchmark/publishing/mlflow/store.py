"""The MLflow store, a database or a server, and the experiment of a profile in it."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from benchmark.records.selection import one_line
from envs.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOCK_SECONDS = 60
BUSY_SECONDS = 5
TRIES = "2"
# What to do about an SQLite error, by a word of its message; any other error is treated as damage.
HINTS = {
    "locked": "another program is writing to it; try again",
    "readonly": "check its permissions",
    "full": "free some space and import again",
    "": "delete it and import again: it is only a view of the result files",
}
# The view that opens an experiment: charts of returns first, and the runs by name.
VIEW = "acrl"
SECTIONS = ("return", "final", "violations", "loss", "update", "training", "flow", "seconds", "calls")
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    f"mlflow.sharedViewState.{VIEW}": json.dumps(
        {
            # Methods and runs in training; seeds have another kind.
            "searchFilter": "tags.kind != 'run'",
            "orderByKey": "tags.`mlflow.runName`",
            "orderByAsc": True,
            "isAccordionReordered": True,
            "compareRunSections": [
                {"uuid": name, "name": name, "display": True, "isReordered": False} for name in SECTIONS
            ],
            "compareRunCharts": [],
        }
    ),
    "mlflow.note.content": (
        "Each run is a method on a task with the means over its seeds, which are its child runs. Steps are environment "
        "steps. **return/eval** is the return of the policy without noise, with infeasible actions repaired. "
        "**final/score** is 0 for random feasible actions and 1 for DDPG without the constraint. "
        "**valid_1e-6** is the share of outputs that are feasible within 1e-6. **violations/policy** counts infeasible "
        "outputs over the whole training without exploration noise, **violations/behaviour** with it."
    ),
}
SERVER_HINTS = {"": "check that it runs and that MLFLOW_TRACKING_URI is its address"}


@contextmanager
def open_experiment(profile: str, database: Path, server: str | None) -> Iterator[tuple[MlflowClient, str]]:
    """A client of the store and the id of the profile's experiment, which is created or restored as needed.

    The store is the server, if there is one, which chooses where it keeps artifacts. Otherwise it is the database,
    which is created if missing, with artifacts next to it.

    Raises:
        UserError: If the database is locked, damaged or cannot be written, or the server does not answer or refuses.
    """
    name = f"acrl/{profile}"
    if server:
        # MLflow would retry for minutes before it gives up on a server, and print two lines for every run.
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

    # Creating a database logs a line for each of some fifty migrations, and errors are logged as well as raised.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return MlflowClient(tracking_uri=uri)


def create_database(database: Path) -> None:
    """Create an empty database under another name and rename it: an interrupted one would be useless."""
    temporary = database.with_name(f".{database.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        connect(sqlite_uri(temporary))
        temporary.replace(database)
    finally:
        temporary.unlink(missing_ok=True)


def check_database(database: Path) -> None:
    """Check that a database can be used; MLflow would retry for minutes before it raises.

    Raises:
        sqlite3.Error: If it is damaged, locked or read-only.
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
    """The id of the experiment, which is created or restored as needed and given its view."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        found, tags = str(client.create_experiment(name, artifact_location=artifacts)), {}
    else:
        found, tags = str(experiment.experiment_id), experiment.tags
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(found)
    for tag, text in EXPERIMENT_TAGS.items():
        if tags.get(tag) != text:
            client.set_experiment_tag(found, tag, text)
    return found


def sqlite_uri(database: Path) -> str:
    """The database's URI, absolute because MLflow resolves relative ones against the working directory."""
    from sqlalchemy.engine import URL

    # With the driver's name, since MLflow would create a folder named after the quoted path behind "sqlite:///".
    return URL.create("sqlite+pysqlite", database=str(database.resolve())).render_as_string()


def artifact_root(database: Path) -> Path:
    """The folder of artifacts, next to the database."""
    return database.resolve().parent / "artifacts"


@contextmanager
def exclusive(database: Path) -> Iterator[None]:
    """Hold the database's lock: if two processes create it at once, one fails in CREATE TABLE.

    Raises:
        UserError: If another import holds it, or its folder cannot be written.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(database.with_name(f".{database.name}.lock"), timeout=LOCK_SECONDS)
        lock.acquire()
    except Timeout as error:
        raise UserError(f"another import into {database} is running: try again when it is done") from error
    except OSError as error:
        raise UserError(f"cannot write to {database.parent}: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def one_line_errors(place: str, hints: Mapping[str, str]) -> Iterator[None]:
    """Turn errors of SQLite and MLflow into a UserError with the hint for a word of their message."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    # Importing MLflow takes seconds, and other commands do not need it.
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, sqlite3.Error, OSError) as error:
        message = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        hint = next(hint for word, hint in hints.items() if word in message)
        raise UserError(f"cannot use {place}: {one_line(message)}; {hint}") from error
