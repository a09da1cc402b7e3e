"""What all tests share: how they are started, and in which order."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.preloaded import serve, write_program


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start, though a shell's background job, such as these may be, ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with most slow tests first: two processes that share the files then end at about the same time."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Of a process that runs commands in forks, for those whose start is not what is tested."""
    with serve() as address:
        yield address


@pytest.fixture(scope="session")
def program(address: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``acrl``, run so."""
    path = tmp_path_factory.mktemp("programs") / "acrl"
    write_program(path, "benchmark.cli:main", address)
    return path
