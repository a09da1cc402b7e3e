"""A run's result: one JSON file, the only truth that tables, figures and MLflow are made from."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from benchmark.records.files import read_bytes, write_text
from envs.errors import UserError

SCHEMA_VERSION = 2
# "Valid" means different things in the papers, so every share is given at each of these: FlowPG counts at 0.1.
TOLERANCES = (0.0, 1e-6, 1e-3, 1e-2, 0.1)
# Entries of the provenance that earlier programs noted as well, and that may still stand in a file.
FORMER = ("together", "together_code")
TOLERANCE_KEYS = tuple(f"{tol:g}" for tol in TOLERANCES)

F = TypeVar("F", bound="File")


class DamagedFileError(UserError):
    """A file does not hold what was written to it."""


class Record(BaseModel):
    """Base of everything that is written: unknown fields, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Evaluation(Record):
    """One evaluation of the policy without noise, its infeasible actions repaired; off the clock."""

    step: int
    mean: float
    episodes: list[float]


class Returns(Record):
    """Undiscounted episode returns: of the last policy, of the best evaluated one run anew, and over training."""

    final: Evaluation
    best: Evaluation
    evaluations: list[Evaluation]


class ViolationCount(Record):
    """How often and by how much the actions of one kind missed C(s) during training.

    Attributes:
        n: Actions judged.
        count: Those with a positive summed violation (tolerance 0).
        mean: Mean summed violation of those, in the constraint's units; 0 if there are none.
        max: Largest summed violation.
        valid_share: Share of n within each tolerance; None where nothing was judged.
    """

    n: int
    count: int
    mean: float
    max: float
    valid_share: dict[str, float | None]

    @model_validator(mode="after")
    def _shares_of_what_was_judged(self) -> ViolationCount:
        if not self.n:
            # Files were written that call all of nothing valid.
            self.valid_share = dict.fromkeys(self.valid_share)
        elif None in self.valid_share.values():
            raise ValueError(f"{self.n} actions were counted, but valid_share is missing")
        return self

    def valid_at(self, tolerance: float) -> float:
        """Share of n within one of :data:`TOLERANCES`.

        Raises:
            ValueError: If nothing was judged.
        """
        share = self.valid_share[f"{tolerance:g}"]
        if share is None:
            raise ValueError("no action was counted, so there is no valid share")
        return share


class Violations(Record):
    """The policy's own output, the same with exploration noise, and what was executed after repair."""

    policy: ViolationCount
    behaviour: ViolationCount
    executed: ViolationCount


class Seconds(Record):
    """Wall-clock split; ``total`` is the whole training with preparation and harness, without evaluation."""

    prepare: float = 0.0
    act: float = 0.0
    project: float = 0.0
    env: float = 0.0
    update: float = 0.0
    evaluate: float = 0.0
    total: float = 0.0


# Parts of a training that tables show: "other" is what none of them accounts for, the harness itself.
PARTS = ("prepare", "act", "project", "env", "update", "other")


class Calls(Record):
    """Batched calls of projection and linear oracle in training, and the actions that they were given."""

    project: int = 0
    oracle: int = 0
    project_rows: int = 0
    oracle_rows: int = 0


class Provenance(Record):
    """Where a result comes from.

    Attributes:
        diff_sha256: Of the files that differ from the commit; None where none does.
        code_sha256: Of all code that bears on a run.
        code_path: Which instructions of the processor the libraries compute with.
        cores: Physical cores of the machine.
        memory_gib: Its memory [GiB], rounded.
        platform: Its operating system, architecture and C library.
        machine: Short hash of processor, code path, accelerator, cores, memory and platform.
        given: What was set for this run alone, which is then none of its profile; None where nothing was.
        sha256: Of all other entries of the file; empty where it was not noted.
    """

    commit: str | None
    dirty: bool | None
    diff_sha256: str | None
    code_sha256: str | None = None
    lock_sha256: str | None
    versions: dict[str, str]
    processor: str
    accelerator: str | None
    threads: int
    started: str
    code_path: str | None = None
    cores: int | None = None
    memory_gib: int | None = None
    platform: str | None = None
    machine: str | None = None
    given: list[str] | None = None
    sha256: str = ""

    @model_validator(mode="before")
    @classmethod
    def _without_former_entries(cls, data: Any) -> Any:
        # No others: a damaged name, of the digest itself for example, is no entry that may be ignored.
        return {name: data[name] for name in data if name not in FORMER} if isinstance(data, dict) else data

    @model_serializer(mode="wrap")
    def _as_stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A file from before the machine was noted is written again to the same bytes.
        later = ("code_sha256", "code_path", "cores", "memory_gib", "platform", "machine", "given")
        return {name: value for name, value in handler(self).items() if value is not None or name not in later}


class File(Record):
    """Base of what is a file of its own."""

    schema_version: Literal[2] = 2
    provenance: Provenance | None = None

    def write(self, path: Path) -> None:
        """Write to ``path`` atomically, with a digest: a flipped bit may well leave valid JSON.

        Raises:
            UserError: If it cannot be written.
        """
        whole = self
        if self.provenance:
            sealed = self.provenance.model_copy(update={"sha256": digest(json.loads(self.model_dump_json()))})
            whole = self.model_copy(update={"provenance": sealed})
        write_text(path, whole.model_dump_json(indent=1) + "\n")


def digest(entries: dict[str, Any]) -> str:
    """Of a file's entries as they stand there, but for the digest itself; those of a newer program may be more."""
    origin = {name: value for name, value in entries["provenance"].items() if name != "sha256"}
    return hashlib.sha256(json.dumps(entries | {"provenance": origin}, sort_keys=True).encode()).hexdigest()


class FinalPolicy(Record):
    """The last policy at the states that it visits itself, without noise; off the clock.

    Attributes:
        violations: Of its raw output, at every step of those episodes.
        contexts: Contexts (k values each) of some of these states, evenly spaced; empty when k = 0.
    """

    violations: ViolationCount
    contexts: list[list[float]]


class RunResult(File):
    """Everything about one run of a task, a method and a seed.

    Attributes:
        run_key: Hash of what was asked (``benchmark/records/keys.py``).
        versions: Versions of all that the run depends on, by name.
        final_policy: What the last policy does at the states that it leads to.
        curves: Over training, all of the length of ``curves["step"]``: cumulative violations (tolerance 0) of the
            policy and behaviour, and means since the last point of what ``update`` returned (None before learning).
        visited: Contexts (k values each) of states visited, evenly spaced over training; empty when k = 0.
    """

    run_key: str
    versions: dict[str, int]
    status: Literal["complete", "failed", "timeout"]
    error: str | None = None
    task: str
    method: str
    seed: int
    profile: str
    config: dict[str, Any]
    returns: Returns | None = None
    violations: Violations | None = None
    final_policy: FinalPolicy | None = None
    curves: dict[str, list[float | None]] = {}
    visited: list[list[float]] = []
    calls: Calls = Calls()
    seconds: Seconds = Seconds()
    provenance: Provenance


def read_record(path: Path, kind: type[F]) -> F:
    """Read one JSON file of the given kind.

    Raises:
        DamagedFileError: If it is truncated or damaged.
        UserError: If it is missing or of a schema version unknown here.
    """
    return parse_record(read_bytes(path), path, kind)


def parse_record(content: bytes, path: Path | str, kind: type[F]) -> F:
    """As :func:`read_record`, from what a file holds; ``path`` is what messages call it.

    Raises:
        DamagedFileError: If it is truncated or damaged.
        UserError: If it is of a schema version unknown here.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is truncated or not JSON; delete it and run again") from error
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(f"{path} has schema version {version}; this program knows version {SCHEMA_VERSION}")
    origin = data.get("provenance")
    noted = origin.get("sha256") if isinstance(origin, dict) else None
    if noted and noted != digest(data):
        raise DamagedFileError(f"{path} is damaged: its digest does not match; delete it and run again")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"'{'.'.join(str(part) for part in first['loc'])}': {first['msg']}"
        if noted:
            raise UserError(f"{path} was written by another version of this program: at {where}") from error
        raise DamagedFileError(f"{path} is damaged at {where}; delete it and run again") from error


def read_run(path: Path) -> RunResult:
    """Read the result of one run; see :func:`read_record`."""
    return read_record(path, RunResult)
