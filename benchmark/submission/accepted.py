"""Submissions that were accepted: beside the runs of a profile, where each of their methods is from.

The record is what puts a method on the leaderboard that this checkout may have no code of: tables and the report take
its name, its runs and what its submitter said from here, and import nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from benchmark.files import read_bytes
from benchmark.results import Record
from benchmark.submission.manifest import RUN_FILE, Adapter, Line, Manifest
from benchmark.verification.report import Finding
from envs.errors import UserError

FOLDER = "submissions"


class Acceptance(Record):
    """A submission that was accepted: the file ``results/<profile>/submissions/<method>.json``.

    Attributes:
        archive: Name of the archive's file.
        manifest: What it says of itself.
        findings: What verification found when it was accepted.
    """

    schema_version: Literal[1] = 1
    archive: Line
    manifest: Manifest
    findings: list[Finding]

    def adapter(self, method: str) -> Adapter:
        """Where the code of one of its methods is."""
        return next(adapter for adapter in self.manifest.adapters if adapter.method == method)

    def hashes(self, method: str) -> dict[str, str]:
        """sha256 of the file of each run of a method, by its path below the profile's folder."""
        runs = ((file, RUN_FILE.fullmatch(file.path)) for file in self.manifest.files)
        return {file.path: file.sha256 for file, match in runs if match and match["method"] == method}


def acceptance_path(folder: Path, method: str) -> Path:
    """Where the record of an accepted method lies below ``results/<profile>``."""
    return folder / FOLDER / f"{method}.json"


def read_acceptances(folder: Path, profile: str) -> dict[str, Acceptance]:
    """Every accepted submission of a profile from its folder ``results/<profile>``, by method.

    Raises:
        UserError: If a record is damaged, or of another profile or method than its path says.
    """
    return {path.stem: read_acceptance(path, profile) for path in sorted((folder / FOLDER).glob("*.json"))}


def read_acceptance(path: Path, profile: str) -> Acceptance:
    """One record.

    Raises:
        UserError: If it is damaged, or of another profile or method than its path says.
    """
    try:
        record = Acceptance.model_validate_json(read_bytes(path))
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise UserError(f"{path} is damaged at '{where}'; delete it and accept the archive again") from error
    if record.manifest.profile != profile or path.stem not in {one.method for one in record.manifest.adapters}:
        raise UserError(f"{path} is of another profile or method: move it there or delete it")
    return record


def check_bytes(path: Path, content: bytes, expected: str) -> None:
    """Refuse a run that is not as it was accepted.

    Raises:
        UserError: If it has another sha256.
    """
    if hashlib.sha256(content).hexdigest() != expected:
        raise UserError(f"{path} is not as it was submitted; delete it and accept the archive again")


def run_states(
    record: Acceptance, method: str, folder: Path
) -> Iterator[tuple[str, int, Literal["accepted", "missing"]]]:
    """Task and seed of every run of an accepted method, and whether it is in its place below ``folder``.

    Raises:
        UserError: If one is not as it was submitted.
    """
    for name, sha256 in record.hashes(method).items():
        match, path = RUN_FILE.fullmatch(name), folder / name
        assert match is not None
        if path.exists():
            check_bytes(path, read_bytes(path), sha256)
        yield match["task"], int(match["seed"]), "accepted" if path.exists() else "missing"


def describe_acceptances(accepted: dict[str, Acceptance]) -> list[str]:
    """A note for each accepted method: who submitted it, and where its code and its description are."""
    notes = []
    for method, record in accepted.items():
        facts = about(record, method)
        said = "; ".join(f"{name} {text}" for name, text in facts.items())
        notes.append(f"{method} was submitted, and verified when it was accepted: {said}.")
    return notes


def about(record: Acceptance, method: str) -> dict[str, str]:
    """What is known of a submitted method, by its name, where it is known."""
    adapter, manifest = record.adapter(method), record.manifest
    package = f"{adapter.package} {adapter.version}, {adapter.entry_point}" if adapter.package else adapter.module
    warnings = sum(finding.level == "warning" for finding in record.findings)
    return {
        "author": manifest.author or "not named",
        "source": adapter.source or "not given",
        "paper": manifest.paper or "none",
        "code": f"{package} (sha256 {adapter.code_sha256[:12]})",
        "archive": record.archive,
        "verification": f"{warnings} warning{'' if warnings == 1 else 's'}",
    }
