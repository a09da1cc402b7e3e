"""``pytest tests/golden --record`` writes goldens anew instead of comparing with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="write goldens anew; choose them by -k")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """As a run has: sums are taken in another order by more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
