"""What commands print: lines for people, or with ``--json`` one document for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document, and nothing else, instead."
)


def show(document: BaseModel | Mapping[str, Any], lines: Iterable[str], as_json: bool) -> None:
    """Print ``document`` as JSON on one line or, for people, each of ``lines``.

    Args:
        document: All that the command found; plain data.
        lines: The same as text; not asked for anything where it is not printed.
        as_json: What ``json_option`` says.
    """
    if as_json:
        plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
        click.echo(json.dumps(plain, allow_nan=False))
    else:
        for line in lines:
            click.echo(line)


def show_paths(paths: Iterable[Path], as_json: bool, **facts: Any) -> None:
    """Print the path of each file once it is made or, as JSON, ``facts`` and all ``paths`` when the last one is.

    Args:
        paths: Files in the order in which they are made.
        as_json: What ``json_option`` says.
        facts: What the document says besides.
    """
    made = []
    for path in paths:
        made.append(str(path))
        if not as_json:
            click.echo(path)
    show({**facts, "paths": made}, [], as_json)
