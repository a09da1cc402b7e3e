"""What a submission says of itself: the file ``manifest.json`` in it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, NonNegativeInt

from benchmark.results import Record

MANIFEST = "manifest.json"
CONFIGS = "config.json"
# A method's name becomes that of files, pages and columns, and may be of a method that is not installed here.
METHOD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}")
RUN_FILE = re.compile(
    rf"runs/(?P<task>[^/\\]+)/(?P<method>{METHOD_ID.pattern})/seed-(?P<seed>0|[1-9][0-9]{{0,8}})\.json"
)
SOURCE = re.compile(r"(https?://|ssh://|git@)[^\s<>\"'`\\]+")
LINE = 300

# The configuration of every task and method.
Configs = dict[str, dict[str, dict[str, Any]]]


def check_source(url: str) -> str:
    """Refuse what is no address of a repository: it may become a link that readers follow.

    Raises:
        ValueError: If it is none.
    """
    if url and not SOURCE.fullmatch(url):
        raise ValueError(f"'{url}' is no address of a repository: give https://..., ssh://... or git@...")
    return url


def check_line(text: str) -> str:
    """Refuse what is no single line of readable text.

    Raises:
        ValueError: If it is none.
    """
    if len(text) > LINE or not text.isprintable():
        raise ValueError(f"not one line of at most {LINE} readable characters")
    return text


Line = Annotated[str, AfterValidator(check_line)]
Source = Annotated[str, AfterValidator(check_source), AfterValidator(check_line)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PackedFile(Record):
    """A file of the submission.

    Attributes:
        path: Inside the archive.
        sha256: Of its bytes.
        size: Its bytes.
    """

    path: str
    sha256: Sha256
    size: NonNegativeInt


class Adapter(Record):
    """Where the code of a method is.

    Attributes:
        method: Its id.
        kind: Whether it is of this repository, of an installed package, or of a module that is neither.
        module: Module that its class is defined in.
        code_sha256: Of that module and what it imports of the same package and of this project.
        package: Name of the package that offers it; empty if none does.
        version: Of that package.
        entry_point: What the package names in the group ``acrl.methods``.
        source: Address of the repository, as the submitter gave it.
    """

    method: str
    kind: Literal["repository", "package", "module"]
    module: Line
    code_sha256: Sha256
    package: Line = ""
    version: Line = ""
    entry_point: Line = ""
    source: Source = ""


class Manifest(Record):
    """What is in a submission, and what it is of.

    Attributes:
        profile: Of all its runs.
        tasks: Tasks of its runs, in the order of the profile.
        methods: Methods of its runs.
        seeds: Seeds of its runs.
        complete: Runs in it, all of them complete.
        expected: Runs that the profile asks of these methods: its tasks times its seeds, for each.
        incomplete: Whether there are fewer than expected, which the submitter had to allow.
        missing: Those that are not in it, "task method seed n".
        locks: sha256 of every requirements.lock that the runs were made under.
        commits: Commits of this repository that they were made at.
        machines: Fingerprints of the machines that they were made on, and threads.
        adapters: Where each method's code is.
        author: Who submits, and how to reach them.
        paper: What describes the method.
        files: Every file but this one.
    """

    schema_version: Literal[1] = 1
    profile: Line
    tasks: list[str]
    methods: list[str]
    seeds: list[NonNegativeInt]
    complete: NonNegativeInt
    expected: NonNegativeInt
    incomplete: bool
    missing: list[str]
    locks: list[str]
    commits: list[str]
    machines: list[str]
    adapters: list[Adapter]
    author: Line = ""
    paper: Line = ""
    files: list[PackedFile]
