"""Errors that a user can mend: the command line prints them as one line and exits with code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class UserError(ValueError):
    """Bad input; the message says in one line what is wrong and what to do."""


class MethodFailedError(UserError):
    """A method put out what cannot be used, such as NaN: its run has failed, whatever the input."""


class NoSampleError(UserError):
    """Rejection found no feasible action: the set is empty or very small at these ``rows`` of the observations."""

    def __init__(self, rounds: int, rows: Tensor) -> None:
        self.rows = rows
        super().__init__(f"rejection found no feasible action in {rounds} rounds: empty or very small set")


class UnknownIdError(UserError):
    """An id that no registry knows; the message names the nearest valid one."""

    def __init__(self, kind: str, given: str, valid: Iterable[str]) -> None:
        choices = sorted(valid)
        near = difflib.get_close_matches(given.lower(), [c.lower() for c in choices], n=1, cutoff=0.0)
        nearest = next((c for c in choices if near and c.lower() == near[0]), None)
        hint = f"did you mean '{nearest}'? " if nearest else ""
        super().__init__(f"unknown {kind} '{given}': {hint}valid: {', '.join(choices)}")
