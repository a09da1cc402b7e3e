"""Atomic files: written to a temporary file, flushed to disk, then renamed."""

from __future__ import annotations

import glob
import multiprocessing
import os
import platform
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from filelock import FileLock, Timeout

from envs.errors import UserError

# A shorter wait is not announced.
GRACE_SECONDS = 0.5
# In the name of a temporary file.
RANDOM_BYTES = 4
# No file takes longer to write.
ABANDONED_SECONDS = 3600


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` atomically, making its folder.

    Raises:
        UserError: If the folder cannot be made or written, or the disk is full; ``path`` is then unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(RANDOM_BYTES)}")
        # Not with tempfile, whose files ignore the umask and are private to their owner.
        file = temporary.open("xb")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; check the folder and its permissions") from error
    try:
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; free space or choose another folder") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Check before hours of work that ``path`` can be written at the end.

    Raises:
        UserError: If it is a folder, or its own folder cannot be made or written.
    """
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; check the folder and its permissions") from error


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, atomically; see :func:`write_bytes`."""
    write_bytes(path, text.encode())


def read_bytes(path: Path) -> bytes:
    """The content of ``path``.

    Raises:
        UserError: If it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"no such file: {path}") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def file_lock(path: Path, what: str = "") -> Iterator[None]:
    """Hold a lock while making ``path``. A process that waits for it says so, and names the holder.

    Args:
        path: The file that is made.
        what: Its name in messages; by default its path.

    Raises:
        UserError: If its folder cannot be made or written.
    """
    check_writable(path)
    lock, holder = FileLock(path.parent / f".{path.name}.lock"), path.parent / f".{path.name}.holder.lock"
    try:
        lock.acquire(timeout=GRACE_SECONDS)
    except Timeout:
        # Worker processes wait silently.
        if multiprocessing.parent_process() is None:
            other = ""
            with suppress(OSError):
                other = holder.read_text()
            click.echo(f"waiting for {other or 'another process'}, which makes {what or path}", err=True)
        lock.acquire()
    try:
        # Left by a process that was killed while it wrote; younger ones may be another's work.
        for temporary in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 2 * RANDOM_BYTES}"):
            if time.time() - temporary.stat().st_mtime > ABANDONED_SECONDS:
                temporary.unlink(missing_ok=True)
        with suppress(OSError):
            holder.write_text(f"process {os.getpid()} on {platform.node()} ({' '.join(' '.join(sys.argv).split())})")
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()
