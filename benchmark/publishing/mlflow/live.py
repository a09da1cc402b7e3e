"""Running trainings in MLflow: the curves so far after each evaluation, off the clock.

A store that cannot be used never fails a run: one warning is printed, and each evaluation tries again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.publishing.mlflow import rows, store
from benchmark.publishing.mlflow.entries import STATUS, Found, Points, begun_entry, curve_points, listed, points_of
from benchmark.records.config import RunConfig
from benchmark.records.results import Evaluation, Provenance, RunResult, Violations
from benchmark.records.runs import Run
from benchmark.training.runs import End
from envs.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

# The longest a run waits for a server that does not answer.
SHORT = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


@dataclass(frozen=True)
class MlflowTracker:
    """See :class:`benchmark.training.runs.Tracker`; plain data, which can be sent to other processes.

    Attributes:
        database: SQLite file, created if missing.
        server: Address of a store to use instead.
    """

    database: Path
    server: str | None = None

    def open(self, profile: str) -> None:
        """Create the experiment of a profile if it is missing.

        Raises:
            UserError: If the store cannot be used.
        """
        for variable, value in SHORT.items():
            os.environ.setdefault(variable, value)
        with store.open_experiment(profile, self.database, self.server):
            pass

    def begin(self, run: Run, key: str, config: RunConfig, origin: Provenance) -> LiveRun:
        """A tracker for one run."""
        return LiveRun(self, run, key, config, origin)


class LiveRun:
    """See :class:`benchmark.training.runs.Live`.

    A resumed run continues its row in MLflow. An import completes that row once the run's JSON exists.
    """

    def __init__(self, tracker: MlflowTracker, run: Run, key: str, config: RunConfig, origin: Provenance) -> None:
        entry = begun_entry(run, key, config.model_dump(mode="json"), origin)
        given = {rows.GIVEN: " ".join(run.given)} if run.given else {}
        self.entry = replace(entry, tags=entry.tags | {"kind": "training", rows.LIVE: "yes"} | given)
        self.tracker = tracker
        self.profile = run.profile
        self.key = key
        self.warned = False
        self.client: MlflowClient | None = None
        self.run_id = ""
        self.sent: set[tuple[str, int]] = set()

    def __call__(
        self, evaluations: Sequence[Evaluation], curves: Mapping[str, Sequence[float | None]], violations: Violations
    ) -> None:
        """Show the curves so far."""
        self._attempt(lambda: self._send(curve_points(evaluations, curves, violations)))

    def end(self, status: End, path: Path, result: RunResult | None = None) -> None:
        """Show how the run ended and its result, if it has one."""

        def tell() -> None:
            if result is not None:
                self._send(points_of(Found(path, result)))
            if self.client is not None:
                self.client.set_terminated(self.run_id, STATUS.get(status, "KILLED"))

        self._attempt(tell)

    def _attempt(self, work: Callable[[], None]) -> None:
        place = f"the MLflow store {self.tracker.server or self.tracker.database}"
        try:
            with store.one_line_errors(place, store.SERVER_HINTS if self.tracker.server else store.HINTS):
                work()
        except UserError as error:
            if not self.warned:
                click.echo(f"warning: {self.entry.name} is not shown in MLflow while it trains: {error}", err=True)
                self.warned = True

    def _send(self, points: Points) -> None:
        client = self.client or self._begin()
        new = {
            (name, step): value for (name, step), value in points.items() if (rows.clean(name), step) not in self.sent
        }
        rows.log_points(client, self.run_id, listed(new), int(1000 * time.time()))
        self.sent |= {(rows.clean(name), step) for name, step in new}

    def _begin(self) -> MlflowClient:
        """Begin the run in MLflow, or find its row and the points already sent."""
        for variable, value in SHORT.items():
            os.environ.setdefault(variable, value)
        with store.open_experiment(self.profile, self.tracker.database, self.tracker.server) as (client, experiment):
            found = client.search_runs([experiment], f"tags.run_key = '{self.key}' AND tags.{rows.LIVE} = 'yes'")
            begun = next((row for row in found if not rows.is_whole(row)), None)
            if begun is None:
                self.run_id = rows.begin_entry(client, experiment, self.entry)
            else:
                self.run_id = begun.info.run_id
                self.sent = set(rows.logged_points(client, begun))
                client.update_run(self.run_id, "RUNNING")
        self.client = client
        return client
