"""Reads settings from YAML 1.2 as DVC does: ``0150`` is 150, and a repeated key is an error."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.records.files import read_bytes
from envs.errors import UserError

PARAMS = Path("params.yaml")
PACKAGE = Path(__file__).resolve().parents[1]


def find_params() -> Path:
    """The params.yaml of the current folder, else of the nearest parent folder, else of the package.

    The search in parent folders ends at the root of the project, the folder with ``.git`` or ``.dvc``.
    """
    folders = [Path.cwd(), *Path.cwd().parents]
    roots = [folder for folder in folders if (folder / ".git").exists() or (folder / ".dvc").exists()]
    around = folders[: folders.index(roots[0]) + 1] if roots else folders
    # An installed package has a copy; a clone has the file at its root.
    places = [Path(), *around, PACKAGE, PACKAGE.parent]
    return next((folder / PARAMS for folder in places if (folder / PARAMS).exists()), PARAMS)


def read_yaml(path: Path) -> Any:
    """Read a file as plain data.

    Raises:
        UserError: If it is missing, not YAML, or has a repeated key.
    """
    try:
        return _parse_yaml(read_bytes(path).decode(), str(path))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not YAML: {error}") from error


def _parse_yaml(text: str, owner: str) -> Any:
    """Parse a text as plain data; messages call it ``owner``."""
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        data = YAML(typ="safe", pure=True).load(text)
        # Settings have neither lists as keys nor nodes inside themselves.
        json.dumps(data, default=str)
    except DuplicateKeyError as error:
        key = error.problem.split('"')[1]
        raise UserError(f"{owner}, line {error.problem_mark.line + 1}: '{key}' is given twice; delete one") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UserError(f"{owner}, line {mark.line + 1} is not YAML: {error.problem}") from error
    except (YAMLError, TypeError, ValueError, LookupError, RecursionError) as error:
        raise UserError(f"{owner} is not YAML: {' '.join(str(error).split())}") from error
    return data


def find_line(path: Path, names: Sequence[str | int]) -> int:
    """The line, from 1, of the entry of a YAML file at the path ``names``, or of its last part that exists."""
    from ruamel.yaml import YAML

    node, line = YAML(typ="safe", pure=True).compose(read_bytes(path).decode()), 1
    for name in names:
        line, node = _entry(node, name) or (line, None)
    return line


def _entry(node: Any, name: str | int) -> tuple[int, Any] | None:
    """Line and value of an entry of a list or a mapping, merged mappings included; None if it does not exist."""
    if node is None or node.id == "scalar":
        return None
    if node.id == "sequence":
        return node.value[name].start_mark.line + 1, node.value[name]
    for key, value in node.value:
        if key.value == str(name):
            return key.start_mark.line + 1, value
    merged = [value for key, value in node.value if key.value == "<<"]
    for one in merged:
        # A list of mappings, or one.
        for mapping in one.value if one.id == "sequence" else [one]:
            if found := _entry(mapping, name):
                return found
    return None


def parse_given(given: Sequence[str]) -> dict[str, Any]:
    """Parse settings ``NAME=VALUE``, the value as in YAML; dots in a name lead to nested settings.

    Raises:
        UserError: If one has another form, or a name is given twice.
    """
    settings: dict[str, Any] = {}
    names = [text.partition("=")[0] for text in given]
    for text, name in zip(given, names, strict=True):
        if not name or "=" not in text or names.count(name) > 1:
            raise UserError(f"--set {text}: write NAME=VALUE, each name once")
        value = _parse_yaml(text.partition("=")[2], f"--set {text}")
        for part in reversed(name.split(".")):
            value = {part: value}
        settings = merge(settings, value)
    return settings


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` overridden by the entries of ``over``; nested mappings are merged."""
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def flatten(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A nested configuration as pairs of a dotted name and a text."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value)


def unequal_settings(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Settings that differ between two configurations: name, and both values as text."""
    ours, theirs = dict(flatten(here)), dict(flatten(there))
    for name in sorted(ours | theirs):
        if ours.get(name) != theirs.get(name):
            yield name, ours.get(name, "not set"), theirs.get(name, "not set")
