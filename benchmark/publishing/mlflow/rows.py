"""One run in MLflow, and how it is written there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Item = TypeVar("Item")
# The most items MLflow takes at once.
RUNS_A_PAGE, PARAMS_A_BATCH, METRICS_A_BATCH = 1000, 100, 1000
# The longest name that MLflow takes.
NAME_LENGTH = 250
# Set last: a run without it is in training, or an interrupted import left it behind.
WHOLE = "import"
# Tag of a run that is shown while it trains.
LIVE = "live"
# Tag of a run with settings of its own, which imports ignore.
GIVEN = "given"
# Hash of everything shown of a run: if it differs, the run is written again.
SHA256 = "entry_sha256"
PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Samples:
    """The dataset of a run.

    Attributes:
        digest: Hash of the request.
        source: Where the samples are kept.
        profile: Numbers that describe them.
    """

    name: str
    digest: str
    source: str
    profile: dict[str, int]


@dataclass(frozen=True)
class Entry:
    """The content of one run.

    Attributes:
        metrics: Name, value and step.
        started_ms: When it began, in milliseconds since 1970.
        ended_ms: When it ended; now if None.
        params: Text by name.
        files: Text by name.
        policy: A file of tensors, shown as the run's model.
    """

    name: str
    tags: dict[str, str]
    metrics: list[tuple[str, float, int]]
    started_ms: int
    ended_ms: int | None = None
    params: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    samples: Samples | None = None
    policy: Path | None = None
    status: str = "FINISHED"

    @property
    def sha256(self) -> str:
        """Hash of everything shown."""
        policy = None if self.policy is None else Path(self.policy.name)
        return hashlib.sha256(repr(replace(self, policy=policy)).encode()).hexdigest()


def begin_entry(client: MlflowClient, experiment: str, entry: Entry) -> str:
    """Begin a run in MLflow with an entry's tags and parameters, and return its id."""
    from mlflow.entities import Param

    tags = {clean(name): text for name, text in entry.tags.items()}
    row = client.create_run(experiment, start_time=entry.started_ms, tags=tags, run_name=entry.name)
    run_id = str(row.info.run_id)
    for some in batches(entry.params, PARAMS_A_BATCH):
        client.log_batch(run_id, params=[Param(clean(name), text) for name, text in some])
    return run_id


def log_points(client: MlflowClient, run_id: str, points: Sequence[tuple[str, float, int]], timestamp_ms: int) -> None:
    """Add points to a run's metrics."""
    from mlflow.entities import Metric

    for some in batches(points, METRICS_A_BATCH):
        metrics = [Metric(clean(name), value, timestamp_ms, step) for name, value, step in some]
        client.log_batch(run_id, metrics=metrics)


def write_entry(client: MlflowClient, experiment: str, entry: Entry, parent: str = "") -> str:
    """Write one entry, below ``parent`` if given, and return its id. It only counts once its last tag is set."""
    run_id = begin_entry(client, experiment, entry)
    log_points(client, run_id, entry.metrics, entry.started_ms)
    _finish_entry(client, run_id, experiment, entry, parent)
    return run_id


def logged_points(client: MlflowClient, row: Run) -> dict[tuple[str, int], float]:
    """Every point of a run in MLflow, by metric name and step."""
    history = [one for name in row.data.metrics for one in client.get_metric_history(row.info.run_id, name)]
    return {(one.key, one.step): one.value for one in history}


def take_over(client: MlflowClient, experiment: str, row: Run, entry: Entry, parent: str) -> bool:
    """Complete a live row with its entry, and return whether that was possible.

    It is not possible if a parameter or a point differs from the entry: MLflow does not change either.
    """
    params = {clean(name): text for name, text in entry.params}
    points = {(clean(name), step): (name, value) for name, value, step in entry.metrics}
    logged = logged_points(client, row)
    same_points = all(key in points and points[key][1] == value for key, value in logged.items())
    if not same_points or row.data.params != params:
        return False
    missing = [(name, value, key[1]) for key, (name, value) in points.items() if key not in logged]
    log_points(client, row.info.run_id, missing, entry.started_ms)
    for name, text in entry.tags.items():
        client.set_tag(row.info.run_id, clean(name), text)
    _finish_entry(client, row.info.run_id, experiment, entry, parent)
    return True


def _finish_entry(client: MlflowClient, run_id: str, experiment: str, entry: Entry, parent: str) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    if entry.samples is not None:
        one = entry.samples
        dataset = Dataset(one.name, one.digest, "local", json.dumps({"uri": one.source}), None, json.dumps(one.profile))
        client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "flow training")])])
    if entry.policy is not None:
        _log_policy(client, run_id, experiment, entry.name, entry.policy)
    for name, text in entry.files.items():
        client.log_text(run_id, text, name)
    client.set_terminated(run_id, entry.status, entry.ended_ms)
    if parent:
        client.set_tag(run_id, PARENT, parent)
    client.set_tag(run_id, SHA256, entry.sha256)
    client.set_tag(run_id, WHOLE, "complete")


def _log_policy(client: MlflowClient, run_id: str, experiment: str, name: str, path: Path) -> None:
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(experiment, name=name, source_run_id=run_id, model_type="policy")
    client.log_model_artifact(model.model_id, str(path))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 0)])


def delete_row(client: MlflowClient, row: Run) -> None:
    """Delete a run and its models."""
    for model in row.outputs.model_outputs if row.outputs else ():
        client.delete_logged_model(model.model_id)
    client.delete_run(row.info.run_id)


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Consecutive pieces of at most ``size`` items."""
    return (items[start : start + size] for start in range(0, len(items), size))


def clean(name: str) -> str:
    """A name that MLflow accepts; different names stay different.

    Colons and characters that MLflow refuses become their hexadecimal number between colons, as do the dots of the
    parts ``.`` and ``..``. An empty part becomes a colon, and a long name ends with its hash.
    """
    parts = [re.sub(r"[^\w.\- ]", lambda found: f":{ord(found[0]):02x}:", part) or ":" for part in name.split("/")]
    found = "/".join(part.replace(".", ":2e:") if part in {".", ".."} else part for part in parts)
    return found if len(found) <= NAME_LENGTH else f"{found[:180]}:{hashlib.sha256(name.encode()).hexdigest()}"


def tag_of(row: Run, name: str) -> str:
    """A tag of a run in MLflow; empty if it has none."""
    return str(row.data.tags.get(name, ""))


def is_whole(row: Run) -> bool:
    """Whether a run was written to its end."""
    return tag_of(row, WHOLE) == "complete"


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
