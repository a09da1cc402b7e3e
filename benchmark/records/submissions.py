"""Submissions: methods that others ran, each described by a TOML file beside its runs.

The file ``results/<profile>/submissions/<method>.toml`` adds a method that the profile does not name to the
leaderboard. Its code need not be installed: tables and report take its id and description from the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ValidationError

from benchmark.records.files import read_bytes
from benchmark.records.results import Record
from envs.errors import UserError
from methods.base import list_methods, method_class

FOLDER = "submissions"
# The id names files, pages and columns.
METHOD_ID = r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}"
LONGEST = 300
MARKUP = re.compile(r"[<>\[\]|`\\]")
ADDRESS = r"https?://[^\s\"']+"
DOI = r"10\.\d{4,9}/[^\s\"']+"
ARXIV = r"(arXiv[: ])?\d{4}\.\d{4,5}(v\d+)?"
PINNED = rf"[A-Za-z0-9][A-Za-z0-9._-]*(==[A-Za-z0-9.+!]+| @ (git\+)?{ADDRESS})"


def is_plain(text: str) -> bool:
    """Whether a text is one short line without markup, as captions and notes need it."""
    return bool(text.strip()) and len(text) <= LONGEST and text.isprintable() and not MARKUP.search(text)


def checked(is_right: Callable[[str], object], advice: str) -> AfterValidator:
    """A validator of texts whose error repeats the advice."""

    def check(text: str) -> str:
        if not is_right(text):
            raise ValueError(f"give {advice}")
        return text

    return AfterValidator(check)


def matching(pattern: str, advice: str) -> AfterValidator:
    """A validator of texts that match a pattern as a whole."""
    return checked(re.compile(pattern).fullmatch, advice)


Line = Annotated[str, checked(is_plain, f"one line of at most {LONGEST} characters, without markup such as < [ | ` \\")]


class Submission(Record):
    """The author's description of a submitted method.

    Attributes:
        author: Name, and how to reach them.
        source: Address of the method's code.
        commit: Commit of that code which made the runs.
        paper: URL, DOI or arXiv number; optional.
        package: pip requirement that installs the method; left out for a method in ``methods/``.
    """

    author: Line
    source: Annotated[Line, matching(ADDRESS, "an address, https://...")]
    commit: Annotated[str, matching(r"[0-9a-f]{7,64}", "the hash of a commit, 7 hexadecimal digits or more")]
    paper: Annotated[Line, matching(f"{ADDRESS}|{DOI}|{ARXIV}", "https://..., a DOI or an arXiv number")] | None = None
    package: Annotated[Line, matching(PINNED, "NAME==VERSION or NAME @ git+https://...")] | None = None


def submission_path(folder: Path, method: str) -> Path:
    """Path of a method's submission in ``results/<profile>``."""
    return folder / FOLDER / f"{method}.toml"


def run_paths(folder: Path, method: str) -> list[Path]:
    """The run JSONs of a method in ``results/<profile>``."""
    return sorted(folder.glob(f"runs/*/{method}/seed-*.json"))


def read_submissions(folder: Path) -> dict[str, Submission]:
    """All submissions in ``results/<profile>``, by method.

    Raises:
        UserError: As :func:`read_submission`.
    """
    return {path.stem: read_submission(path) for path in sorted((folder / FOLDER).glob("*.toml"))}


def read_submission(path: Path) -> Submission:
    """Read a submission.

    Raises:
        UserError: If it is missing, misplaced, not TOML, has a bad field, or its method has no runs.
    """
    try:
        submission = Submission.model_validate(tomllib.loads(read_bytes(path).decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}, {field!r}: {first['msg'].removeprefix('Value error, ')}") from error
    method, place = path.stem, path.resolve().parent
    if place.name != FOLDER:
        raise UserError(f"{path} is not in its place: move it to results/<profile>/{FOLDER}/{path.name}")
    if not re.fullmatch(METHOD_ID, method):
        raise UserError(f"{path} is not named by a method's id: use letters, digits, '.', '_', '+', '-'")
    if not run_paths(place.parent, method):
        raise UserError(f"{path}: there is no run of '{method}' beside it, in ../runs/<task>/{method}")
    return submission


def is_of_repository(method: str) -> bool:
    """Whether the code of a method is a file of this repository."""
    return method in list_methods() and method_class(method).__module__.startswith("methods.")


def describe_submissions(submitted: Mapping[str, Submission]) -> list[str]:
    """A note for each submitted method: its author, code and paper."""
    notes = []
    for method, submission in submitted.items():
        facts = "; ".join(f"{name} {text}" for name, text in submission.model_dump(exclude_none=True).items())
        notes.append(f"{method} was submitted: {facts}.")
    return notes
