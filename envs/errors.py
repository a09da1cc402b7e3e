"""Errors that a user can fix. The command line prints them as one line and exits with code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class UserError(ValueError):
    """Invalid input. The message is one line that says what is wrong and what to do."""


class RunFailedError(UserError):
    """A method, environment or constraint returned something unusable, so the run has failed."""


class MethodFailedError(RunFailedError):
    """A method returned something unusable, such as NaN."""


class NoSampleError(UserError):
    """Rejection found no feasible action: the set is empty or very small at these ``rows`` of the observations."""

    def __init__(self, rounds: int, rows: Tensor) -> None:
        self.rows = rows
        super().__init__(f"rejection found no feasible action in {rounds} rounds: empty or very small set")


class UnknownIdError(UserError):
    """An unknown id. The message names the nearest valid one."""

    def __init__(self, kind: str, given: str, valid: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} '{given}': {nearest(given, valid)}")


def nearest(given: str, valid: Iterable[str]) -> str:
    """The end of an error message: the most similar valid name, if any, and all valid names."""
    choices = sorted(valid)
    near = difflib.get_close_matches(given.lower(), [choice.lower() for choice in choices], n=1)
    hint = next((f"did you mean '{choice}'? " for choice in choices if choice.lower() in near), "")
    return f"{hint}valid: {', '.join(choices)}"
