"""Runs tampered with, and verified."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.records.results import digest
from benchmark.verification.report import Verification
from tests.benchmark.command import Done, acrl

RUN = "results/smoke/runs/R+L2/nfw/seed-0.json"
Data = dict[str, Any]


def forge(path: Path, change: Callable[[Data], object]) -> None:
    """Change a run's JSON as one would who knows of the digest."""
    data = json.loads(path.read_text())
    change(data)
    data["provenance"]["sha256"] = digest(data)
    path.write_text(json.dumps(data))


def verify(folder: Path, *arguments: str | Path) -> tuple[Done, Verification]:
    done = acrl(folder, "verify", *arguments, "--json")
    assert done.err == ""
    return done, Verification.model_validate_json(done.out)


def said(verification: Verification, level: str) -> list[str]:
    return [f"{one.check}: {one.message}" for one in verification.findings if one.level == level]
