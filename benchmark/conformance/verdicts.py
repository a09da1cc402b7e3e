"""A check and its verdict: pass, fail, or not applicable, with one line that says what was found and what to do."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict

Outcome = Literal["pass", "fail", "not applicable"]
OUTCOMES: tuple[Outcome, ...] = ("pass", "fail", "not applicable")
Case = TypeVar("Case")
# A check returns what is worth knowing of a pass, often nothing.
Check = Callable[[Case], str]


class CheckFailedError(Exception):
    """The plug-in does not do what was checked; the message says what was found and what to do."""


class NotApplicableError(Exception):
    """The check asks for what this plug-in need not have; the message says why."""


class Verdict(BaseModel):
    """The outcome of one check.

    Attributes:
        subject: Id of the method or task.
        kind: What was checked of it.
        task: The task that it was checked on.
        check: Name of the check.
        message: What was found, and for a failure what to do; may be empty for a pass.
        seconds: What the check took.
    """

    model_config = ConfigDict(frozen=True)

    subject: str
    kind: Literal["method", "constraint", "environment"]
    task: str
    check: str
    outcome: Outcome
    message: str
    seconds: float


def name_of(check: Check[Case]) -> str:
    """Name of a check, from that of its function."""
    return check.__name__.replace("_", "-")


def require(holds: bool, message: str) -> None:
    """Fail the check unless ``holds``.

    Raises:
        CheckFailedError: If it does not hold.
    """
    if not holds:
        raise CheckFailedError(message)


def judge(
    check: Check[Case], case: Case, subject: str, kind: Literal["method", "constraint", "environment"], task: str
) -> Verdict:
    """Run one check; whatever a plug-in raises is a failure of its own."""
    started = time.perf_counter()
    outcome: Outcome = "pass"
    try:
        # Solvers and simulators warn of what a verdict says more exactly.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            message = check(case)
    except NotApplicableError as reason:
        outcome, message = "not applicable", str(reason)
    except CheckFailedError as failure:
        outcome, message = "fail", str(failure)
    except Exception as error:
        outcome, message = "fail", f"raised {type(error).__name__}: {error}"
    return Verdict(
        subject=subject,
        kind=kind,
        task=task,
        check=name_of(check),
        outcome=outcome,
        message=" ".join(message.split()),
        seconds=time.perf_counter() - started,
    )
