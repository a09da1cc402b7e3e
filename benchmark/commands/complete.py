"""Ids that a shell completes; whatever hinders that, such as an unreadable params.yaml, completes to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from benchmark.config import load_params
from envs.errors import UserError
from envs.registry import list_tasks
from methods.base import list_methods

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def completer(names: Callable[[], Iterable[str]]) -> Completer:
    """What click asks for the names that begin like the word being typed.

    Args:
        names: Lists them all; a ``UserError`` of it lists none, since a shell has no place for an error.
    """

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        del context, parameter
        try:
            return [name for name in names() if name.startswith(incomplete)]
        except UserError:
            return []

    return complete


complete_task = completer(list_tasks)
complete_method = completer(list_methods)
complete_profile = completer(lambda: load_params().profiles)
