"""MLflow as a view of the results: runs from their JSON, and comparisons. It can be rebuilt from nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmark.analysis.comparison import Compared, Difference
from benchmark.publishing.mlflow import store
from benchmark.records.results import RunResult, read_run
from benchmark.records.runs import check_runs
from benchmark.records.selection import check_place, one_line
from benchmark.records.yaml import flatten
from envs.errors import UserError

STATUS = {"complete": "FINISHED", "failed": "FAILED", "timeout": "KILLED"}
# Not "run_key": an import of runs deletes what has a key that no file on disk has.
COMPARISON_KEY = "comparison_key"


def import_runs(folder: Path, profile: str, database: Path, server: str | None = None) -> int:
    """Make the experiment ``acrl/<profile>`` show the runs that are on disk.

    Importing twice changes nothing, a run made again replaces the one shown, and one that an interrupted import left
    half done, or that is no longer on disk, is deleted. Two imports into a server at once may both import a run; the
    next one mends that.

    Args:
        folder: ``results/<profile>``.
        profile: Its name.
        database: SQLite file, made if it is missing; artifacts are kept beside it.
        server: Address of a store to use instead.

    Returns:
        Number of runs newly imported.

    Raises:
        UserError: If the folder is missing, a run is damaged or of another profile, or the store cannot be used.
    """
    wanted = read_files(folder, profile)
    with store.open_experiment(profile, database, server) as (client, experiment):
        for row in store.list_runs(client, experiment):
            identity = (store.tag_of(row, "run_key"), store.tag_of(row, "json_sha256"))
            if store.is_whole(row) and identity in wanted:
                del wanted[identity]
            elif store.tag_of(row, "run_key"):
                client.delete_run(row.info.run_id)
        for (_, sha256), (path, run) in wanted.items():
            store.write_entry(client, experiment, run_entry(path, run, sha256))
    return len(wanted)


def read_files(folder: Path, profile: str) -> dict[tuple[str, str], tuple[Path, RunResult]]:
    """Every run of the profile and its file, by key and hash of the file: a run made again has other seconds.

    Raises:
        UserError: If there is no run, or a file is damaged, misplaced or of another profile.
    """
    check_runs(profile, folder.parent)
    found = {}
    for path in sorted((folder / "runs").glob("*/*/seed-*.json")):
        run = read_run(path)
        check_place(path, run, profile)
        started_ms(path, run)
        found[run.run_key, hashlib.sha256(path.read_text("utf-8").encode()).hexdigest()] = (path, run)
    return found


def started_ms(path: Path, run: RunResult) -> int:
    """When a run started, in milliseconds since 1970.

    Raises:
        UserError: If what the file says is no time.
    """
    try:
        return int(1000 * datetime.fromisoformat(run.provenance.started).timestamp())
    except ValueError as error:
        raise UserError(f"{path} is damaged at 'provenance.started': not a time; run it again") from error


def run_entry(path: Path, run: RunResult, sha256: str) -> store.Entry:
    """What MLflow shows of a run and its file."""
    start, seconds, origin = started_ms(path, run), run.seconds, run.provenance
    asked = ("run_key", "task", "method", "seed", "profile", "status")
    made = ("commit", "dirty", "diff_sha256", "lock_sha256", "processor", "accelerator", "threads", "started")
    tags = {name: getattr(run, name) for name in asked} | {name: getattr(origin, name) for name in made}
    tags |= {f"version.{name}": version for name, version in origin.versions.items()}
    tags |= {"json_sha256": sha256, "error": one_line(run.error) if run.error else None}
    return store.Entry(
        name=f"{run.task} {run.method} seed {run.seed}",
        tags={name: str(value) for name, value in tags.items() if value is not None},
        params=list(flatten(run.config)),
        metrics=list(metrics(run)),
        file=(path.name, path.read_text("utf-8")),
        started_ms=start,
        ended_ms=start + int(1000 * (seconds.total + seconds.evaluate)),
        status=STATUS[run.status],
    )


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
        yield from numbers("violations", result.violations.model_dump())
    yield from numbers("seconds", result.seconds.model_dump())
    yield from numbers("calls", result.calls.model_dump())


def numbers(prefix: str, values: dict[str, Any]) -> Iterator[tuple[str, float, int]]:
    """The numbers of a record that are known, at step 0."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from numbers(f"{prefix}/{name}", value)
        elif value is not None:
            yield f"{prefix}/{name}", float(value), 0


def log_comparison(compared: Compared, database: Path, server: str | None) -> bool:
    """Make the profile's experiment show a comparison, in a store as of :func:`import_runs`.

    Returns:
        Whether it is new; one that is shown already changes nothing.

    Raises:
        UserError: If the store cannot be used.
    """
    with store.open_experiment(compared.profile, database, server) as (client, experiment):
        for row in store.list_runs(client, experiment):
            if store.tag_of(row, COMPARISON_KEY) == compared.key:
                if store.is_whole(row):
                    return False
                client.delete_run(row.info.run_id)
        tags = {"kind": "comparison", "a": compared.a, "b": compared.b, "profile": compared.profile}
        entry = store.Entry(
            name=f"{compared.a} / {compared.b}"[: store.NAME_LENGTH],
            tags={COMPARISON_KEY: compared.key, **tags},
            metrics=[number for one in compared.differences for number in difference_metrics(one)],
            file=("comparison.json", compared.model_dump_json(indent=1)),
            started_ms=int(time.time() * 1000),
        )
        store.write_entry(client, experiment, entry)
        return True


def difference_metrics(one: Difference) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of what is known of a difference."""
    method = "" if one.method_a != one.method_b else f"{one.method_a}/"
    tolerance = "" if one.tolerance is None else f"/{one.tolerance:g}"
    for part in ("a", "b", "difference", "low", "high"):
        value = getattr(one, part)
        if value is not None:
            yield f"{one.task}/{method}{one.quantity}{tolerance}/{part}", value, 0
