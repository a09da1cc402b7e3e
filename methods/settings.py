"""Strict reading of settings: types must match, and an unknown name raises an error with the nearest valid one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from envs.errors import UserError, nearest

S = TypeVar("S", bound=BaseModel)


class SettingError(UserError):
    """A setting is unknown or ill-typed.

    Attributes:
        path: Names and positions that lead to the setting.
        reason: What is wrong with it.
    """

    def __init__(self, owner: str, path: tuple[str | int, ...], reason: str) -> None:
        name = f", setting '{'.'.join(map(str, path))}'" if path else ""
        super().__init__(f"{owner}{name}: {reason}")
        self.path = path
        self.reason = reason


def read_settings(kind: type[S], data: Any, owner: str) -> S:
    """Read plain data as settings.

    Args:
        kind: Class of the settings.
        data: Mappings, lists, numbers and strings.
        owner: Name of the whole in messages.

    Raises:
        SettingError: If a setting is unknown or ill-typed; booleans and strings do not pass for numbers.
    """
    try:
        # As JSON, since strict reading of Python objects would require tuples where files have lists.
        return kind.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        # A wrong name explains why the right one is missing.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        reason, path = first["msg"].removeprefix("Value error, "), first["loc"]
        if first["type"] == "extra_forbidden":
            reason = f"no such setting; {nearest(str(path[-1]), _names_at(kind, path[:-1]))}"
        raise SettingError(owner, path, reason) from error


def _names_at(kind: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Names of the settings at ``path``, where keys of mappings are skipped."""
    for name in path:
        field = kind.model_fields.get(str(name))
        inner = [] if field is None else [field.annotation, *get_args(field.annotation)]
        kind = next((one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), kind)
    return list(kind.model_fields)
