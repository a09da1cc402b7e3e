"""The state of an unfinished run on disk, so that a run that was killed goes on where it was."""

from __future__ import annotations

import time
from pathlib import Path

from benchmark.records.store import FileCheckpoint
from methods.base import Tensors

# Largest share of the time that may go into writing checkpoints: a slow write makes the next one wait.
SHARE = 0.02
EVERY_SECONDS = 60.0
# Raised when what is in a checkpoint changes: one of another format is not gone on from.
FORMAT = 2


class RunCheckpoint(FileCheckpoint):
    """Knows when it is time to write again.

    Args:
        path: The file.
        key: The run's key.
        every: Least seconds between two writes.

    Attributes:
        wait: Seconds from the last write to the next one.
    """

    def __init__(self, path: Path, key: str, every: float = EVERY_SECONDS) -> None:
        super().__init__(path, f"{key}/{FORMAT}")
        self.every = every
        self.wait = every
        self._last = time.perf_counter()

    def due(self) -> bool:
        """Whether it is time to write again."""
        return time.perf_counter() - self._last >= self.wait

    def save(self, state: Tensors) -> None:
        """See :meth:`FileCheckpoint.save`."""
        started = time.perf_counter()
        super().save(state)
        self._last = time.perf_counter()
        self.wait = max(self.every, (self._last - started) / SHARE) if self.every else 0.0
