"""The suite's checks as plain functions, and plug-ins with a fault that one of them is meant for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Check = Callable[..., None]


def checks_of(*modules: ModuleType) -> dict[str, Check]:
    """Checks by name: one for each question of those that are parametrised."""
    checks: dict[str, Check] = {}
    for module in modules:
        for name, check in vars(module).items():
            if name.startswith("test_"):
                marks = [mark for mark in getattr(check, "pytestmark", []) if mark.name == "parametrize"]
                for argument, values in (mark.args for mark in marks):
                    checks |= {f"{name}[{v}]": functools.partial(check, **{argument: v}) for v in values}
                if not marks:
                    checks[name] = check
    return checks


def fault(right: type, check: str, what: str, **members: Any) -> Any:
    """Parameters of a test: a class that is right but for some members, and the name of the check that is to fail."""
    return pytest.param(type("Faulty", (right,), members), check, id=f"{what} - {check}")


def assert_caught(check: Check, plugin: Any) -> None:
    """The check fails by an assertion of its own, which says what to do after a semicolon."""
    with pytest.raises(AssertionError) as caught:
        check(plugin)
    assert "; " in str(caught.value)
