"""Comparisons as MLflow shows them, next to the runs of their profile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmark.analysis.comparison import Compared, Difference
from benchmark.publishing.mlflow import rows, store
from benchmark.publishing.mlflow.rows import Entry

# Not "run_key": an import of runs deletes rows whose key no file on disk has.
COMPARISON_KEY = "comparison_key"


def log_comparison(compared: Compared, database: Path, server: str | None) -> bool:
    """Add a comparison to the profile's experiment; ``database`` and ``server`` as in :func:`..mlflow.import_runs`.

    Returns:
        Whether it is new. An existing one is left as it is.

    Raises:
        UserError: If the store cannot be used.
    """
    with store.open_experiment(compared.profile, database, server) as (client, experiment):
        for row in rows.list_runs(client, experiment):
            if rows.tag_of(row, COMPARISON_KEY) == compared.key:
                if rows.is_whole(row):
                    return False
                client.delete_run(row.info.run_id)
        tags = {"kind": "comparison", "a": compared.a, "b": compared.b, "profile": compared.profile}
        entry = Entry(
            name=f"{compared.a} / {compared.b}"[: rows.NAME_LENGTH],
            tags={COMPARISON_KEY: compared.key, **tags},
            metrics=[number for one in compared.differences for number in difference_metrics(one)],
            files={"comparison.json": compared.model_dump_json(indent=1)},
            started_ms=int(time.time() * 1000),
        )
        rows.write_entry(client, experiment, entry)
        return True


def difference_metrics(one: Difference) -> Iterator[tuple[str, float, int]]:
    """Name, value and step of the known numbers of a difference."""
    method = "" if one.method_a != one.method_b else f"{one.method_a}/"
    tolerance = "" if one.tolerance is None else f"/{one.tolerance:g}"
    for part in ("a", "b", "difference", "low", "high"):
        value = getattr(one, part)
        if value is not None:
            yield f"{one.task}/{method}{one.quantity}{tolerance}/{part}", value, 0
