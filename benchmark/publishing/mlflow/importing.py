"""MLflow as a view of the results: runs are imported from their JSON, and the database can be rebuilt from nothing."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from benchmark.publishing.mlflow.entries import StoredRun, import_run, is_whole, tag_of
from benchmark.records.results import RunResult, read_record
from benchmark.records.runs import check_runs
from benchmark.records.selection import check_place, one_line
from envs.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

LOCK_SECONDS = 60
BUSY_SECONDS = 5
RUNS_A_PAGE = 1000
TRIES = "2"
# What to do about an error of SQLite, by a word of its message; anything else is taken for damage.
HINTS = {
    "locked": "another program is writing to it; try again",
    "readonly": "check its permissions",
    "full": "free some space and import again",
    "": "it is only a view of the result files: delete it and import again",
}
SERVER_HINTS = {"": "check that it runs and that MLFLOW_TRACKING_URI is its address"}


def import_runs(folder: Path, profile: str, database: Path) -> int:
    """Make the experiment ``acrl/<profile>`` show the runs that are on disk.

    A run is looked up by its key and the hash of its file: importing twice changes nothing, a run made again replaces
    the one shown, and one that an interrupted import left half done, or that is no longer on disk, is deleted.

    Args:
        folder: ``results/<profile>``.
        profile: Name of the profile.
        database: SQLite file, made if it is missing; artifacts are kept beside it.

    Returns:
        Number of runs newly imported.

    Raises:
        UserError: If the folder is missing, a run is damaged or of another profile, or the database is locked,
            damaged or cannot be written.
    """
    found = read_files(folder, profile)
    database = database.resolve()
    with exclusive(database), one_line_errors(f"the MLflow database {database}", HINTS):
        if not database.exists():
            create_database(database)
        check_database(database)
        client, artifacts = connect(sqlite_uri(database)), artifact_root(database) / profile
        return synchronise(client, f"acrl/{profile}", artifacts.as_uri(), found)


def import_runs_to_server(folder: Path, profile: str, uri: str) -> int:
    """As :func:`import_runs`, into any store that MLflow has an address for, such as a tracking server.

    Where artifacts go is the server's affair. Two imports at once may both import a run; the next one mends that.

    Raises:
        UserError: If the folder is missing, a run is damaged or of another profile, or the server does not answer or
            refuses.
    """
    found = read_files(folder, profile)
    # MLflow would try for minutes before it says that nobody answers, and print two lines for every run.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", TRIES)
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    with one_line_errors(f"the MLflow server {uri}", SERVER_HINTS):
        return synchronise(connect(uri), f"acrl/{profile}", None, found)


def read_files(folder: Path, profile: str) -> list[StoredRun]:
    """Every run of the profile with its file.

    Raises:
        UserError: If there is no run, or a file is damaged, misplaced or of another profile.
    """
    check_runs(profile, folder.parent)
    found = []
    for path in sorted((folder / "runs").glob("*/*/seed-*.json")):
        run = read_record(path, RunResult)
        check_place(path, run, profile)
        found.append(StoredRun.of(path, run))
    return found


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
    connect(sqlite_uri(temporary))
    temporary.replace(database)


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


def synchronise(client: MlflowClient, name: str, artifacts: str | None, found: list[StoredRun]) -> int:
    """Delete from the experiment what is not on disk or not whole, import what is missing, and count that."""
    experiment = experiment_id(client, name, artifacts)
    wanted = {run.identity: run for run in found}
    for row in list_runs(client, experiment):
        identity = (tag_of(row, "run_key"), tag_of(row, "json_sha256"))
        if is_whole(row) and identity in wanted:
            del wanted[identity]
        elif tag_of(row, "run_key"):
            client.delete_run(row.info.run_id)
    for run in wanted.values():
        import_run(client, experiment, run)
    return len(wanted)


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
    return f"sqlite:///{database.resolve()}"


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
    """Turn what SQLite and MLflow raise into an error that a user can mend.

    Args:
        place: What was used.
        hints: What to do about an error, by a word of its message.

    Raises:
        UserError: In place of theirs.
    """
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
