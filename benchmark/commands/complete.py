"""Ids that a shell completes; whatever hinders that, such as an unreadable params.yaml, completes to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def completer(names: Callable[[], Iterable[str]]) -> Completer:
    """What click asks for the names that begin like the word being typed.

    Args:
        names: Lists them all; a ``UserError`` of it lists none, since a shell has no place for an error.
    """

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from envs.errors import UserError

        del context, parameter
        try:
            return [name for name in names() if name.startswith(incomplete)]
        except UserError:
            return []

    return complete


def _tasks() -> Iterable[str]:
    from envs.registry import list_tasks

    return list_tasks()


def _methods() -> Iterable[str]:
    from methods.base import list_methods

    return list_methods()


def _profiles() -> Iterable[str]:
    from benchmark.records.config import load_params

    return load_params().profiles


complete_task = completer(_tasks)
complete_method = completer(_methods)
complete_profile = completer(_profiles)
