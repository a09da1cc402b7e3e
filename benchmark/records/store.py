"""Prepared artifacts and checkpoints on disk, as safetensors: loading them runs no code."""

from __future__ import annotations

import hashlib
import itertools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from benchmark.records.files import file_lock, write_bytes
from benchmark.records.keys import Versions, key_of
from benchmark.records.provenance import library_versions
from envs.errors import UserError
from envs.registry import TaskSpec
from methods.base import Artifacts, Checkpoint, Maker, Tensors

DIGEST = "sha256"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write tensors and facts about them atomically, with a digest."""
    whole = {name: value.contiguous() for name, value in tensors.items()}
    write_bytes(path, save(whole, {**facts, DIGEST: digest(whole, facts)}))


def digest(tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> str:
    """SHA-256 of names, types, shapes and numbers. The format itself would not notice a flipped bit."""
    found = hashlib.sha256(json.dumps(dict(facts), sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        found.update(value.numpy().data)
    return found.hexdigest()


def load_tensors(path: Path) -> tuple[Tensors, dict[str, str]]:
    """Read the tensors and facts of a file.

    Raises:
        UserError: If it is missing, truncated or damaged.
    """
    if not path.is_file():
        raise UserError(f"no such file: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is truncated or damaged; if a run made it, delete it and run again") from error
    if facts.pop(DIGEST, None) != digest(tensors, facts):
        raise UserError(f"{path} is damaged: its digest does not match; delete it and run again")
    return tensors, facts


def with_sorted_header(content: bytes) -> bytes:
    """The content of a file with the entries of its header sorted; safetensors writes them in random order.

    The format: a length of 8 bytes, a header of that length in JSON, the numbers (github.com/huggingface/safetensors).
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8:end]), sort_keys=True).encode()
    # The numbers start at a multiple of 8 bytes.
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + content[end:]


def set_aside(path: Path) -> str:
    """Rename a damaged file, which is then neither used nor lost; return a line that says so."""
    names = itertools.chain([".damaged"], (f".damaged-{number}" for number in itertools.count(2)))
    aside = next(name for name in map(path.with_suffix, names) if not name.exists())
    try:
        path.replace(aside)
    except OSError as error:
        raise UserError(f"{path} is damaged and cannot be renamed: {error.strerror}; delete it") from error
    return f"{path} is truncated or damaged; renamed to {aside.name}"


class FileCheckpoint(Checkpoint):
    """The state of unfinished work in one file, under the key of its result, replaced atomically each time.

    Work does not resume from a file with another key, which has other versions or settings, or with other libraries.

    Attributes:
        seconds_before: Time that the work took before it was resumed [s].
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key
        self.started = time.perf_counter()
        self.seconds_before = 0.0

    def load(self) -> Tensors | None:
        """The last saved state, or None if there is none with this key. A damaged file is renamed, with a warning."""
        if not self.path.exists():
            return None
        try:
            tensors, facts = load_tensors(self.path)
        except UserError:
            click.echo(f"warning: {set_aside(self.path)}, and the work starts anew", err=True)
            return None
        if facts.get("key") != self.key or facts.get("libraries") != json.dumps(library_versions()):
            return None
        self.seconds_before = float(facts["seconds"])
        return tensors

    def save(self, state: Tensors) -> None:
        """Replace what was saved.

        Raises:
            UserError: If the file cannot be written.
        """
        facts = {"key": self.key, "seconds": f"{self.seconds():.6f}", "libraries": json.dumps(library_versions())}
        save_tensors(self.path, state, facts)

    def seconds(self) -> float:
        """Time of the work so far, earlier parts included [s]."""
        return time.perf_counter() - self.started + self.seconds_before

    def remove(self) -> None:
        """Delete the file: the work is finished."""
        self.path.unlink(missing_ok=True)


class ArtifactStore(Artifacts):
    """Stores a task's prepared artifacts as ``<folder>/<name>/<task>.safetensors``, each with its key.

    Unfinished work is in ``<folder>/unfinished``, which the pipeline does not remove.

    Args:
        folder: The folder of a profile.
        task: The task of the artifacts.
        same_libraries: Whether to remake an artifact that was made with other versions of libraries.

    Attributes:
        waited: Seconds spent in calls of :meth:`get`.
        cost: Seconds that the artifacts took when they were made, parts included.
    """

    def __init__(self, folder: Path, task: TaskSpec, same_libraries: bool = False) -> None:
        self.folder = folder
        self.task = task
        self.same_libraries = same_libraries
        self.waited = 0.0
        self.cost = 0.0

    def path(self, name: str) -> Path:
        """Path of an artifact of this task."""
        return self.folder / name / f"{self.task.id}.safetensors"

    def key(self, settings: Mapping[str, Any], versions: Versions) -> str:
        """The key that a stored artifact must have to be used."""
        return key_of({"task": self.task.fingerprint(), "settings": dict(settings), "versions": versions})

    def get(self, name: str, settings: Mapping[str, Any], versions: Versions, make: Maker) -> Tensors:
        """See ``methods.base.Artifacts``. A stored artifact with another key is remade.

        Raises:
            UserError: If the stored file is damaged and was renamed, or the new one cannot be written.
        """
        started = time.perf_counter()
        path, key = self.path(name), self.key(settings, versions)
        with file_lock(path):
            tensors, cost = self._load_or_make(name, key, make)
        self.waited += time.perf_counter() - started
        self.cost += cost
        return tensors

    def _load_or_make(self, name: str, key: str, make: Maker) -> tuple[Tensors, float]:
        path = self.path(name)
        try:
            tensors, facts = load_tensors(path) if path.exists() else ({}, {})
        except UserError as error:
            raise UserError(f"{set_aside(path)}; run again to replace it") from error
        libraries = json.dumps(library_versions())
        # Older files do not name libraries and are accepted.
        same = not self.same_libraries or facts.get("libraries", libraries) == libraries
        if facts.get("key") == key and "seconds" in facts and same:
            return tensors, float(facts["seconds"])
        parts = ArtifactStore(self.folder, self.task, self.same_libraries)
        parts.checkpoint = checkpoint = _ArtifactCheckpoint(self.folder / "unfinished" / name / path.name, key, parts)
        tensors = make(parts)
        cost = checkpoint.seconds() + parts.cost
        save_tensors(path, tensors, {"key": key, "seconds": f"{cost:.6f}", "libraries": libraries})
        checkpoint.remove()
        return tensors, cost


class KeptArtifacts(ArtifactStore):
    """Existing artifacts; none is made.

    Args:
        folder: The folder of a profile.
        task: The task of the artifacts.
        advice: What to do about a missing or stale one, for the message.

    Attributes:
        used: Files that were loaded.
    """

    def __init__(self, folder: Path, task: TaskSpec, advice: str) -> None:
        super().__init__(folder, task)
        self.advice = advice
        self.used: list[Path] = []

    def get(self, name: str, settings: Mapping[str, Any], versions: Versions, make: Maker) -> Tensors:  # noqa: ARG002
        """See :class:`ArtifactStore`.

        Raises:
            UserError: If the file is missing, damaged or stale.
        """
        path = self.path(name)
        if not path.exists():
            raise UserError(f"{path} is missing: {self.advice}")
        tensors, facts = load_tensors(path)
        if facts.get("key") != self.key(settings, versions):
            raise UserError(f"{path} was made with other settings or versions: {self.advice}")
        self.used.append(path)
        return tensors


def artifact_paths(folder: Path, task: str) -> list[Path]:
    """Files of a task's samples and flows in the folder of a profile."""
    samples = folder / "samples" / f"{task}.safetensors"
    return [path for path in (samples, *sorted(folder.glob(f"flows/*/{task}.safetensors"))) if path.exists()]


class _ArtifactCheckpoint(FileCheckpoint):
    """An unfinished artifact. Those that it is made from count with their cost, not with the time to get them."""

    def __init__(self, path: Path, key: str, parts: ArtifactStore) -> None:
        super().__init__(path, key)
        self.parts = parts

    def seconds(self) -> float:
        """See :class:`FileCheckpoint`."""
        return super().seconds() - self.parts.waited


# Largest share of the time spent on writing checkpoints: a slow write delays the next one.
SHARE = 0.02
EVERY_SECONDS = 60.0
# Raised when the content of a checkpoint changes: runs do not resume from another format.
FORMAT = 2


class RunCheckpoint(FileCheckpoint):
    """A checkpoint of a run that knows when it is due.

    Attributes:
        every: Least seconds between two writes.
        wait: Seconds from the last write to the next.
    """

    def __init__(self, path: Path, key: str, every: float = EVERY_SECONDS) -> None:
        super().__init__(path, f"{key}/{FORMAT}")
        self.every = every
        self.wait = every
        self._last = time.perf_counter()

    def due(self) -> bool:
        """Whether the next write is due."""
        return time.perf_counter() - self._last >= self.wait

    def save(self, state: Tensors) -> None:
        """See :meth:`FileCheckpoint.save`."""
        started = time.perf_counter()
        super().save(state)
        self._last = time.perf_counter()
        self.wait = max(self.every, (self._last - started) / SHARE) if self.every else 0.0
