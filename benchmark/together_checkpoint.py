"""The state of an unfinished batch of seeds on disk: one file for all of them, so that they stay in step."""

from __future__ import annotations

from functools import cached_property

from benchmark.checkpoint import RunCheckpoint
from methods.base import Tensors


class BatchCheckpoint:
    """Collects the states of all seeds between two of the batch's environment steps, and writes them when it has all.

    A run is put down between two episodes (``benchmark/harness.py``). All seeds are there at once where episodes are
    of one length; where they end at different times such a moment comes by chance, and nothing is written before.

    Args:
        file: Where the batch's state lies; its key is that of all runs and of what trains them together.
        seeds: How many there are.
    """

    def __init__(self, file: RunCheckpoint, seeds: int) -> None:
        self.file = file
        self.seats = [SeatCheckpoint(self, seat) for seat in range(seeds)]
        self._states: dict[int, Tensors] = {}

    def due(self) -> bool:
        """Whether states are wanted; once a seed left its own, those of all are."""
        return bool(self._states) or self.file.due()

    def moved(self) -> None:
        """Environments have moved on: states that were left before are not of one moment with any to come."""
        self._states.clear()

    def save(self, seat: int, state: Tensors) -> None:
        """Take a seed's state in, and write all when it is the last one that lacked."""
        self._states[seat] = state
        if len(self._states) == len(self.seats):
            self.file.save(
                {f"{one}.{name}": value for one, found in self._states.items() for name, value in found.items()}
            )
            self._states.clear()

    def load(self, seat: int) -> Tensors | None:
        """A seed's part of what was saved last, None if nothing was."""
        if self._found is None:
            return None
        prefix = f"{seat}."
        return {name.removeprefix(prefix): value for name, value in self._found.items() if name.startswith(prefix)}

    @cached_property
    def _found(self) -> Tensors | None:
        """What was saved last, of all seeds; read once for them all."""
        return self.file.load()


class SeatCheckpoint(RunCheckpoint):
    """One seed's part of a batch's checkpoint, as its run sees it."""

    def __init__(self, batch: BatchCheckpoint, seat: int) -> None:
        super().__init__(batch.file.path, batch.file.key, batch.file.every)
        self._batch = batch
        self._seat = seat

    def due(self) -> bool:
        """See :meth:`RunCheckpoint.due`."""
        return self._batch.due()

    def save(self, state: Tensors) -> None:
        """See :meth:`RunCheckpoint.save`."""
        self._batch.save(self._seat, state)

    def load(self) -> Tensors | None:
        """See :meth:`RunCheckpoint.load`."""
        return self._batch.load(self._seat)
