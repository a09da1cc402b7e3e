"""The archive itself: written to the same bytes from the same files, and read without trusting anything in it.

Nothing is ever unpacked to disk, and every file in it is JSON: reading one can run no code.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from benchmark.submission.manifest import CONFIGS, MANIFEST, RUN_FILE
from envs.errors import UserError

# The earliest that the format has; a file's own time would make two packs of the same runs differ.
EPOCH = (1980, 1, 1, 0, 0, 0)
MOST_FILES = 10_000
# A run of profile paper takes under half a megabyte.
MOST_BYTES = 32 * 2**20
MOST_BYTES_IN_ALL = 512 * 2**20


class BadArchiveError(UserError):
    """An archive is damaged, or holds what no submission may hold."""


def pack(files: Mapping[str, bytes]) -> bytes:
    """Files by their path as one archive, sorted and without times, so that the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = 0o644 << 16
            archive.writestr(info, files[name], compresslevel=9)
    return buffer.getvalue()


def unpack(path: Path) -> dict[str, bytes]:
    """The files of an archive by their path, in memory.

    Raises:
        BadArchiveError: If it is damaged, a name is unsafe, unexpected or there twice, or something is too large.
        UserError: If it cannot be read at all.
    """
    try:
        if path.stat().st_size > MOST_BYTES_IN_ALL:
            raise BadArchiveError(f"the archive is larger than any submission ({MOST_BYTES_IN_ALL:,} bytes)")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _unpack(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BadArchiveError(f"the archive is damaged: {reason}") from error


def _unpack(archive: zipfile.ZipFile) -> dict[str, bytes]:
    members = archive.infolist()
    check_members(members)
    found: dict[str, bytes] = {}
    left = MOST_BYTES_IN_ALL
    for info in members:
        found[info.filename] = _read(archive, info, min(MOST_BYTES, left))
        left -= len(found[info.filename])
    return found


def check_members(members: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive for what its table of contents says.

    Raises:
        BadArchiveError: If a name is unsafe, unexpected or there twice, or something is too large, encrypted or has a
            comment.
    """
    if len(members) > MOST_FILES:
        raise BadArchiveError(f"the archive has {len(members):,} files; {MOST_FILES:,} is the most")
    seen: set[str] = set()
    for info in members:
        # What the archive itself says, before Python's own cut at a NUL byte.
        name = info.orig_filename
        if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
            raise BadArchiveError(f"the archive has an unsafe name, {name!r}, which leads out of it")
        if name not in (MANIFEST, CONFIGS) and not RUN_FILE.fullmatch(name):
            raise BadArchiveError(f"the archive has {name!r}, which is no file of a submission")
        if name in seen:
            raise BadArchiveError(f"the archive has {name!r} twice")
        if info.comment or info.extra:
            # A damaged length makes a comment of the entries that follow, which would then be missing unseen.
            raise BadArchiveError(f"the archive has {name!r} with a comment or extra field; `acrl submit` writes none")
        if info.flag_bits & 1:
            raise BadArchiveError(f"the archive has {name!r} encrypted")
        seen.add(name)
    for name in (MANIFEST, CONFIGS):
        if name not in seen:
            raise BadArchiveError(f"the archive has no {name}: it is no submission, or not a whole one")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    """A member, up to a size: what the table of contents says of sizes may be a lie."""
    with archive.open(info) as member:
        content = member.read(most + 1)
    if len(content) > most:
        raise BadArchiveError(
            f"the archive has {info.filename!r}, which is larger than any result ({MOST_BYTES:,} bytes)"
        )
    return content
