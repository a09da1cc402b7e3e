"""The state of an unfinished run on disk, so that a run that was killed goes on where it was."""

from __future__ import annotations

import time
from pathlib import Path

import click

from benchmark.store import load_tensors, save_tensors
from envs.errors import UserError
from methods.base import Tensors

# Largest share of the time that may go into writing checkpoints: a slow write makes the next one wait.
SHARE = 0.02
EVERY_SECONDS = 60.0


class RunCheckpoint:
    """One file, replaced atomically each time.

    Args:
        path: The file.
        key: The run's key; a file of another key is of other code or settings, and is not gone on from.
        every: Least seconds between two writes.
    """

    def __init__(self, path: Path, key: str, every: float = EVERY_SECONDS) -> None:
        self.path = path
        self.key = key
        self.every = every
        self._wait = every
        self._last = time.perf_counter()

    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.perf_counter() - self._last >= self._wait

    def save(self, state: Tensors) -> None:
        """Replace what was saved.

        Raises:
            UserError: If the file cannot be written.
        """
        started = time.perf_counter()
        save_tensors(self.path, state, {"key": self.key})
        self._last = time.perf_counter()
        self._wait = max(self.every, (self._last - started) / SHARE) if self.every else 0.0

    def load(self) -> Tensors | None:
        """What was saved last, None if nothing of this key was; a damaged file is named, set aside and not used."""
        if not self.path.exists():
            return None
        try:
            tensors, facts = load_tensors(self.path)
        except UserError as error:
            aside = self.path.with_suffix(".damaged")
            self.path.replace(aside)
            click.echo(f"warning: {error}; set aside as {aside.name}, and the run starts anew", err=True)
            return None
        return tensors if facts.get("key") == self.key else None

    def remove(self) -> None:
        """The run is finished."""
        self.path.unlink(missing_ok=True)
