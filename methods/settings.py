"""Settings read strictly: a number is a number, and an unknown name is refused with the nearest right one."""

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
        path: Names and positions that lead to it.
        reason: What is wrong with it.
    """

    def __init__(self, owner: str, path: tuple[str | int, ...], reason: str) -> None:
        name = f", setting '{'.'.join(map(str, path))}'" if path else ""
        super().__init__(f"{owner}{name}: {reason}")
        self.path = path
        self.reason = reason


def read_settings(kind: type[S], data: Any, owner: str) -> S:
    """Plain data as settings of a kind.

    Args:
        kind: Class of the settings.
        data: Mappings, lists, numbers and texts.
        owner: What messages call the whole.

    Raises:
        SettingError: If a setting is unknown or ill-typed: no switch or text passes for a number.
    """
    try:
        # As JSON, since strict reading of Python objects would want tuples where files have lists.
        return kind.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        # A wrong name explains that the right one is missing.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        reason, path = first["msg"].removeprefix("Value error, "), first["loc"]
        if first["type"] == "extra_forbidden":
            reason = f"no such setting; {nearest(str(path[-1]), _names_at(kind, path[:-1]))}"
        raise SettingError(owner, path, reason) from error


def _names_at(kind: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Names of the settings where ``path`` leads; keys of mappings in it lead no further."""
    for name in path:
        field = kind.model_fields.get(str(name))
        inner = [] if field is None else [field.annotation, *get_args(field.annotation)]
        kind = next((one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), kind)
    return list(kind.model_fields)
