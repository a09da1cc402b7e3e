"""The result of a run: one JSON file, from which tables, figures and MLflow are made."""

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
# The papers call an action valid at different tolerances, so every share is given at each: FlowPG counts at 0.1.
TOLERANCES = (0.0, 1e-6, 1e-3, 1e-2, 0.1)
# Entries of the provenance that older files may have.
FORMER = ("together", "together_code")
TOLERANCE_KEYS = tuple(f"{tol:g}" for tol in TOLERANCES)

F = TypeVar("F", bound="File")


class DamagedFileError(UserError):
    """The content of a file is not what was written to it."""


class Record(BaseModel):
    """Base of everything that is written. Unknown fields, NaN and infinities are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Evaluation(Record):
    """An evaluation of the policy, without noise and with repair.

    Attributes:
        step: Training steps of the policy.
        mean: Mean of ``episodes``.
        episodes: Undiscounted return of each episode, in the task's units.
    """

    step: int
    mean: float
    episodes: list[float]


class Returns(Record):
    """Undiscounted returns.

    Attributes:
        final: The last policy, over ``final_episodes`` episodes.
        best: The policy with the best evaluation, run again on the episodes of ``final``.
        evaluations: Evaluations during training, in order.
    """

    final: Evaluation
    best: Evaluation
    evaluations: list[Evaluation]


class ViolationCount(Record):
    """How often and by how much actions of one kind lay outside C(s).

    Attributes:
        n: Actions counted.
        count: Actions that violate the constraint at tolerance 0.
        mean: Mean summed violation of those, in the constraint's units; 0 if there are none.
        max: Largest summed violation.
        valid_share: Share of ``n`` that is valid, by tolerance; null if ``n`` is 0.
    """

    n: int
    count: int
    mean: float
    max: float
    valid_share: dict[str, float | None]

    @model_validator(mode="after")
    def _shares_of_what_was_judged(self) -> ViolationCount:
        if not self.n:
            # Older files say 1 where nothing was counted.
            self.valid_share = dict.fromkeys(self.valid_share)
        elif None in self.valid_share.values():
            raise ValueError(f"{self.n} actions were counted, but valid_share is missing")
        return self

    def valid_at(self, tolerance: float) -> float:
        """Share of ``n`` that is valid at one of :data:`TOLERANCES`.

        Raises:
            ValueError: If nothing was counted.
        """
        share = self.valid_share[f"{tolerance:g}"]
        if share is None:
            raise ValueError("no action was counted, so there is no valid share")
        return share


class Violations(Record):
    """Violations during training, by kind of action.

    Attributes:
        policy: The policy's output, without noise and repair. Not counted during the warm-up.
        behaviour: The action with exploration noise, or the random action of the warm-up, at every step.
        executed: The action after repair, at every step.
    """

    policy: ViolationCount
    behaviour: ViolationCount
    executed: ViolationCount


class Seconds(Record):
    """Wall-clock time of the parts of a run [s].

    Attributes:
        prepare: Work before training, such as training a flow: the time it took when it was done.
        act: Choosing actions.
        project: All projections, whoever calls them.
        env: The simulator.
        update: Learning, without projections.
        evaluate: Evaluation, which is not part of ``total``.
        total: All of training. The harness takes what the parts leave over.
    """

    prepare: float = 0.0
    act: float = 0.0
    project: float = 0.0
    env: float = 0.0
    update: float = 0.0
    evaluate: float = 0.0
    total: float = 0.0


# Parts of training that tables show; "other" is the harness, which takes what the parts leave over.
PARTS = ("prepare", "act", "project", "env", "update", "other")


class Calls(Record):
    """Batched calls of the projection and the linear oracle during training.

    Attributes:
        project: Calls of the projection.
        oracle: Calls of the linear oracle.
        project_rows: Actions projected.
        oracle_rows: Gradients given to the oracle.
    """

    project: int = 0
    oracle: int = 0
    project_rows: int = 0
    oracle_rows: int = 0


class Provenance(Record):
    """Code, libraries and machine that made a result. Older files lack some entries.

    Attributes:
        commit: Commit of this repository; null without git.
        dirty: Whether there were uncommitted changes of code or settings.
        diff_sha256: Hash of code and settings that differ from the commit, new files included; null if none does.
        code_sha256: Hash of the code that affects a run; null for other results.
        lock_sha256: Hash of ``requirements.lock``.
        versions: Versions of Python and the libraries.
        processor: Model of the processor.
        accelerator: Model of the accelerator; null if there is none.
        threads: Threads of the process.
        started: Time of the start, UTC.
        code_path: Processor instructions that torch uses, switches of MKL, oneDNN and NumPy that are set, and a hash of
            these and of the processor's instructions and caches.
        cores: Physical cores.
        memory_gib: Memory [GiB], rounded.
        platform: Operating system, architecture and C library.
        machine: Short hash of processor, ``code_path``, accelerator, cores, memory and platform.
        given: ``--set`` and ``--steps`` of a run outside its profile; left out if there are none.
        sha256: Hash of all other entries of the file; empty in older files.
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
        # Only these: a damaged name, such as that of the digest, must not be ignored.
        return {name: data[name] for name in data if name not in FORMER} if isinstance(data, dict) else data

    @model_serializer(mode="wrap")
    def _as_stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # An older file, without these entries, is written back to the same bytes.
        later = ("code_sha256", "code_path", "cores", "memory_gib", "platform", "machine", "given")
        return {name: value for name, value in handler(self).items() if value is not None or name not in later}


class File(Record):
    """Base of every result that is a file.

    Attributes:
        schema_version: Version of this format.
        provenance: Code, libraries and machine that made the file.
    """

    schema_version: Literal[2] = 2
    provenance: Provenance | None = None

    def write(self, path: Path) -> None:
        """Write to ``path`` atomically, with a digest, since a flipped bit can leave valid JSON.

        Raises:
            UserError: If it cannot be written.
        """
        whole = self
        if self.provenance:
            sealed = self.provenance.model_copy(update={"sha256": digest(json.loads(self.model_dump_json()))})
            whole = self.model_copy(update={"provenance": sealed})
        write_text(path, whole.model_dump_json(indent=1) + "\n")


def digest(entries: dict[str, Any]) -> str:
    """SHA-256 of all entries except the digest; unknown fields included."""
    origin = {name: value for name, value in entries["provenance"].items() if name != "sha256"}
    return hashlib.sha256(json.dumps(entries | {"provenance": origin}, sort_keys=True).encode()).hexdigest()


class FinalPolicy(Record):
    """The last policy at the states that it visits in evaluation, without noise.

    Attributes:
        violations: Violations of its raw output at every step of these episodes.
        contexts: Contexts of up to 500 of these states, drawn at random; empty if the constraint reads no observation.
    """

    violations: ViolationCount
    contexts: list[list[float]]


class RunResult(File):
    """The result of one run.

    Attributes:
        run_key: SHA-256 of task, method, their versions, settings and seed. The same key means the same result.
        versions: Versions of everything the run depends on, by name: ``protocol``, task, method, samples, flow.
        status: ``complete``, ``failed`` or ``timeout``. Only complete runs count.
        error: Why the run is not complete, in one line; else null.
        task: Id of the task.
        method: Id of the method.
        seed: Seed of all randomness.
        profile: Profile of ``params.yaml``.
        config: The whole configuration, a ``RunConfig``.
        returns: Returns; null unless complete.
        violations: Violations during training; null if the run failed.
        final_policy: The last policy in evaluation; null unless complete.
        curves: Lists with one number per evaluation: ``step``; ``violations/policy`` and ``violations/behaviour``,
            violations at tolerance 0 so far [actions]; ``update/<name>``, mean of a loss since the last point, null
            before learning starts.
        visited: Context, the observation entries that the constraint reads, at 200 to 399 states, one at a random
            step of each window of training, or at each of fewer steps; empty if it reads none.
        visited_steps: Step of each of these states, from 1; empty in older runs, see ``benchmark.training.visited``.
        calls: Calls of projection and linear oracle.
        seconds: Time of each part.
        provenance: Code, libraries and machine that made the run.
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
    visited_steps: list[int] = []
    calls: Calls = Calls()
    seconds: Seconds = Seconds()
    provenance: Provenance


def read_record(path: Path, kind: type[F]) -> F:
    """Read one JSON file of the given kind.

    Raises:
        DamagedFileError: If it is truncated or damaged.
        UserError: If it is missing or its schema version is unknown.
    """
    return parse_record(read_bytes(path), path, kind)


def parse_record(content: bytes, path: Path | str, kind: type[F]) -> F:
    """Like :func:`read_record`, from the content of a file; messages name ``path``.

    Raises:
        DamagedFileError: If it is truncated or damaged.
        UserError: If its schema version is unknown.
    """
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(
            f"{path} is truncated or not JSON; if it was a result, delete it and run again"
        ) from error
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
            raise UserError(f"{path} is of another version of this program: at {where}; make it again") from error
        raise DamagedFileError(f"{path} is damaged at {where}; delete it and run again") from error


def read_run(path: Path) -> RunResult:
    """Read the result of one run, with the errors of :func:`read_record`."""
    return read_record(path, RunResult)
